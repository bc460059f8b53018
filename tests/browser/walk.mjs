// Walks through STAC Browser as a user does, by clicking, and tells what each page shows.
//
// stdin:  {chromium, playwright, start, walks: [{path: [title, title, ...], pictures}], screenshots}
// stdout: {pages: [{path, url, title, text, images, links, footprint}], errors, failed, requested}
import path from 'node:path';
import {launch, unfold, wanted} from './launch.mjs';

const browser = await launch();
const context = await browser.newContext({viewport: {width: 1280, height: 900}, locale: 'en-GB'});

const found = {pages: [], errors: [], failed: [], requested: []};
function watch(page) {
  page.on('console', message => {
    if (message.type() === 'error') {
      found.errors.push(`${message.text()} (${message.location().url})`);
    }
  });
  page.on('pageerror', error => found.errors.push(String(error)));
  page.on('request', request => found.requested.push(request.url()));
  page.on('requestfailed', request => {
    found.failed.push(`${request.url()} ${request.failure()?.errorText}`);
  });
  page.on('response', response => {
    if (response.status() >= 400) {
      found.failed.push(`${response.url()} ${response.status()}`);
    }
  });
}

async function settle(page, title) {
  await page.locator('h1', {hasText: title}).first().waitFor({timeout: 30000});
  await page.waitForLoadState('networkidle');
  // Sections that are folded away are part of the page.
  await unfold(page);
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
  await page.waitForLoadState('networkidle');
  await page.evaluate(() => window.scrollTo(0, 0));
}

const seen = page => page.evaluate(() => ({
  url: location.href,
  title: document.querySelector('h1')?.innerText ?? '',
  text: document.body.innerText,
  images: [...document.images].map(image => ({src: image.src, width: image.naturalWidth})),
  links: [...document.links].map(link => ({href: link.href, text: link.innerText.trim()})),
}));

// Counts the pixels of a footprint's outline, in a picture (base64 PNG) of the map.
async function outline(picture) {
  const image = new Image();
  image.src = `data:image/png;base64,${picture}`;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height).getContext('2d');
  canvas.drawImage(image, 0, 0);
  const {data} = canvas.getImageData(0, 0, image.width, image.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    count += Math.abs(data[i] - 51) + Math.abs(data[i + 1] - 153) + Math.abs(data[i + 2] - 204) < 40;
  }
  return count;
}

// The map is drawn some time after all else, the later the more pages there are.
async function footprint(page) {
  const map = page.locator('.map').first();
  await map.waitFor({timeout: 60000});
  for (let tries = 0; tries < 120; tries++) {
    const picture = await map.screenshot();
    const count = await page.evaluate(outline, picture.toString('base64'));
    if (count >= 100) {
      return count;
    }
    await page.waitForTimeout(500);
  }
  return 0;
}

// Parts of a page come one after the other, some of them only once they are scrolled to: it is
// whole once its pictures are there and nothing has been added for a second.
async function whole(page, pictures) {
  let before = '';
  const end = Date.now() + 120000;
  for (let same = 0; same < 3 && Date.now() < end;) {
    await page.evaluate(() => {
      const last = window.scrollY + window.innerHeight >= document.body.scrollHeight;
      window.scrollTo(0, last ? 0 : window.scrollY + window.innerHeight / 2);
    });
    await page.waitForTimeout(400);
    const now = await page.evaluate(() => {
      const images = [...document.images];
      const drawn = images.filter(image => image.complete && image.naturalWidth > 0);
      const shown = drawn.filter(image => image.src.endsWith('thumbnail.png')).length;
      const text = document.body.innerText.length;
      return {all: drawn.length === images.length, shown, state: `${text} ${images.length}`};
    });
    same = now.all && now.shown >= pictures && now.state === before ? same + 1 : 0;
    before = now.state;
  }
  await page.evaluate(() => window.scrollTo(0, 0));
}

async function take(number, {path: walk, pictures}) {
  const page = await context.newPage();
  watch(page);
  await page.goto(wanted.start);
  await settle(page, walk[0]);
  for (const step of walk.slice(1)) {
    await page.getByRole('link', {name: step, exact: true}).first().click();
    await settle(page, step);
  }
  // The root has no map.
  const drawn = walk.length > 1 ? await footprint(page) : null;
  await whole(page, pictures);
  const shown = {path: walk, ...await seen(page), footprint: drawn};
  const name = `${number}-${walk.at(-1).replace(/[^A-Za-z0-9]+/g, '-').slice(0, 40)}`;
  await page.screenshot({path: path.join(wanted.screenshots, `${name}.png`)});
  await page.screenshot({path: path.join(wanted.screenshots, `${name}-whole.png`), fullPage: true});
  await page.close();
  return shown;
}

// Some at a time: a page mostly waits for its map.
const left = [...wanted.walks.entries()];
async function work() {
  while (left.length) {
    const [number, walk] = left.shift();
    found.pages[number] = await take(number, walk);
  }
}
await Promise.all([work(), work(), work(), work()]);
await browser.close();
process.stdout.write(JSON.stringify(found));
