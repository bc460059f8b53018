// Clicks on all links of pages of STAC Browser that would run a script, and tells whether one ran.
//
// stdin:  {chromium, playwright, start, pages: [{route, title}]}
// stdout: {links: [href], ran: [url], blocked: number}
//
// A script shows that it ran by a request of http://ran.invalid/.
import {launch, unfold, wanted} from './launch.mjs';

const browser = await launch();
const context = await browser.newContext();
const found = {links: [], ran: [], blocked: 0};
context.on('request', request => {
  if (request.url().startsWith('http://ran.invalid/')) {
    found.ran.push(request.url());
  }
});
// Also tabs that a click opens.
context.on('page', page => page.on('console', message => {
  found.blocked += /violates the following Content Security Policy/.test(message.text());
}));

for (const {route, title} of wanted.pages) {
  const page = await context.newPage();
  await page.goto(wanted.start + route);
  await page.locator('h1', {hasText: title}).first().waitFor({timeout: 30000});
  await page.waitForLoadState('networkidle');
  await unfold(page);
  for (const link of await page.locator('a[href^="javascript:" i]').all()) {
    if (!await link.isVisible()) {
      continue;
    }
    found.links.push(await link.getAttribute('href'));
    for (const modifiers of [[], ['Control']]) {
      await link.click({modifiers});
    }
    // As if it opened in the same tab, where more browsers run scripts.
    await link.evaluate(element => element.removeAttribute('target'));
    await link.click();
  }
  // Nor from HTML that gets into the page in another way.
  await page.evaluate(() => {
    const run = "new Image().src='http://ran.invalid/inserted'";
    document.body.insertAdjacentHTML('beforeend', `<img src="data:," onerror="${run}">`);
    document.body.appendChild(document.createElement('script')).textContent = run;
  });
  await page.waitForLoadState('networkidle');
  await page.waitForTimeout(500);
}
await browser.close();
process.stdout.write(JSON.stringify(found));
