import { Registry } from '@radiantearth/stac-fields';
import { formatTimestamp } from '@radiantearth/stac-fields/formatters';

// Whole colour tables, digests and configurations are for programs: a page says that they are there.
const names = value => Object.keys(value).join(', ');

Registry.addMetadataField('renders', { label: 'Colours for', formatter: names });
Registry.addExtension('stacbuild', 'stacbuild');
Registry.addMetadataField('stacbuild:inputs', { label: 'Digests of', formatter: names });
Registry.addMetadataField('stacbuild:fingerprint', { label: 'Fingerprint' });

// STAC requires times of data whose time is not known: they are the first and the last possible ones.
const time = value => (/^(0001|9999)-/.test(value) ? 'not known' : formatTimestamp(value));

Registry.addMetadataField('start_datetime', { label: 'Time of Data begins', formatter: time });
Registry.addMetadataField('end_datetime', { label: 'Time of Data ends', formatter: time });
