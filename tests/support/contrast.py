"""How well the texts of a page can be told from what is behind them."""

from __future__ import annotations

from support.chromium import Page

_LEAST = """
(() => {
  const pixel = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const parse = color => {
    pixel.clearRect(0, 0, 1, 1);
    pixel.fillStyle = color;
    pixel.fillRect(0, 0, 1, 1);
    return [...pixel.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255];
  };
  const texts = element => {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    const before = getComputedStyle(element, "::before");
    return [...own ? [getComputedStyle(element)] : [],
      ...["none", "normal", '""'].includes(before.content) ? [] : [before]];
  };
  return Math.min(...[...document.querySelectorAll("body, body *")]
    .filter(element => element.checkVisibility({opacityProperty: true}) && !element.disabled)
    .flatMap(element => texts(element).map(style => {
      const own = parse(style.backgroundColor), one = light(parse(style.color));
      const two = light(own[3] === 255 ? own : behind(element));
      return (Math.max(one, two) + .05) / (Math.min(one, two) + .05);
    })));
})()
"""


async def least_contrast(page: Page) -> float:
    """The least contrast of a text in sight with what is behind it (WCAG 2, 1.4.3).

    What is disabled does not count, nor what a field holds.
    """
    found: float = await page.evaluate(_LEAST)
    return found
