// The map's background in STAC Browser: a grid of coordinates, for nothing is asked of the network.
// Takes the place of the file of the same name in the browser's sources when it is built.
import Graticule from 'ol/layer/Graticule.js';
import Fill from 'ol/style/Fill.js';
import Stroke from 'ol/style/Stroke.js';
import Text from 'ol/style/Text.js';

const label = () => new Text({
  font: '11px sans-serif',
  fill: new Fill({color: '#556'}),
  stroke: new Stroke({color: '#fff', width: 3}),
});

// What the browser asks for in place of a layer of tiles.
const graticule = () => new Graticule({
  strokeStyle: new Stroke({color: 'rgba(90, 100, 120, 0.35)', width: 1}),
  showLabels: true,
  lonLabelStyle: label(),
  latLabelStyle: label(),
  // Of the view's height and width: at its very edge labels are cut off.
  lonLabelPosition: 0.06,
  latLabelPosition: 0.94,
  wrapX: false,
  title: 'Graticule',
  base: true,
});

export default function configureBasemap() {
  return [{is: null, title: 'Graticule', projection: 'EPSG:3857', layerCreated: graticule}];
}
