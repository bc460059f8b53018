import { Registry } from '@radiantearth/stac-fields';

// Whole colour tables, digests and configurations are for programs: a page says that they are there.
const names = value => Object.keys(value).join(', ');

Registry.addMetadataField('renders', { label: 'Colours for', formatter: names });
Registry.addExtension('stacbuild', 'stacbuild');
Registry.addMetadataField('stacbuild:inputs', { label: 'Digests of', formatter: names });
Registry.addMetadataField('stacbuild:fingerprint', { label: 'Fingerprint' });
