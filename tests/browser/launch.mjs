// What the scripts of this folder share: the browser, and opening all that is folded on a page.
import {createRequire} from 'node:module';
import {readFileSync} from 'node:fs';

export const wanted = JSON.parse(readFileSync(0, 'utf8'));

export async function launch() {
  const {chromium} = createRequire(wanted.playwright + '/')('playwright-core');
  return chromium.launch({
    executablePath: wanted.chromium,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      // WebGL, which the map draws with, without a graphics card.
      '--use-angle=swiftshader', '--enable-unsafe-swiftshader',
    ],
  });
}

export async function unfold(page) {
  for (const closed of await page.locator('[aria-expanded=false].btn, .collapsed').all()) {
    if (await closed.isVisible() && !await closed.evaluate(e => e.closest('header, footer'))) {
      await closed.click();
    }
  }
}
