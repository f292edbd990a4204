// What a page must have for those who do not see it, see it badly, or use no
// mouse. It returns a list of {rule, element} for what breaks a rule.
(() => {
  const found = [];
  const breaks = (rule, element) => found.push({ rule, element: element.outerHTML.slice(0, 200) });
  const all = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility());

  if (!document.documentElement.lang) breaks("html-has-lang", document.documentElement);
  if (!document.title) breaks("document-title", document.documentElement);
  if (all("main").length !== 1) breaks("one-main", document.body);
  if (all("h1").length !== 1) breaks("one-h1", document.body);

  const ids = new Set();
  for (const e of document.querySelectorAll("[id]")) {
    if (ids.has(e.id)) breaks("duplicate-id", e);
    ids.add(e.id);
  }
  for (const attribute of ["aria-labelledby", "aria-describedby", "aria-controls", "for"]) {
    for (const e of document.querySelectorAll(`[${attribute}]`)) {
      if (e.getAttribute(attribute).split(/\s+/).some((id) => id && !document.getElementById(id))) breaks("reference-" + attribute, e);
    }
  }
  for (const e of all("[tabindex]")) if (e.tabIndex > 0) breaks("tabindex", e);
  for (const e of all("img, svg[role=img]")) if (!e.hasAttribute("alt") && !e.getAttribute("aria-label") && e.getAttribute("aria-hidden") !== "true") breaks("image-alt", e);

  // The levels of headings go down one at a time.
  let level = 0;
  for (const e of all("h1, h2, h3, h4, h5, h6")) {
    const next = Number(e.tagName[1]);
    if (next > level + 1) breaks("heading-order", e);
    level = next;
  }

  const named = (e) => {
    const by = (e.getAttribute("aria-labelledby") ?? "").split(/\s+/).map((id) => document.getElementById(id)?.textContent ?? "").join("");
    const labels = [...(e.labels ?? [])].map((l) => l.textContent).join("");
    const own = e.matches("button, a, summary, [role=button], [role=tab]") ? e.textContent : "";
    const value = e.matches("input[type=submit], input[type=button]") ? e.value : "";
    return [e.getAttribute("aria-label"), by, labels, own, value, e.title].some((name) => name?.trim());
  };
  for (const e of all("button, [role=button], [role=tab], summary")) if (!named(e)) breaks("button-name", e);
  for (const e of all("a[href]")) if (!named(e)) breaks("link-name", e);
  for (const e of all("input:not([type=hidden]), select, textarea")) if (!named(e)) breaks("label", e);
  for (const e of all("[onclick], [role=button]")) if (!e.matches("button, a, input, summary, [tabindex]")) breaks("not-by-keyboard", e);

  // Contrast after WCAG 2.2, 1.4.3. Colours that are see-through lie on what is behind them.
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const behind = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      layers.push(color);
      if (color[3] === 1) break;
    }
    const ground = rgba(matchMedia("(prefers-color-scheme: dark)").matches && getComputedStyle(document.documentElement).colorScheme.includes("dark") ? "#121212" : "white");
    return layers.reduceRight((under, layer) => over(layer, under), ground);
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || seen.has(e) || !e.checkVisibility() || e.closest(":disabled, [aria-disabled=true], script, style, noscript")) continue;
    if (e.getBoundingClientRect().width <= 1) continue; // for screen readers alone
    seen.add(e);
    const style = getComputedStyle(e);
    const ground = behind(e);
    const [light, dark] = [luminance(over(rgba(style.color), ground)), luminance(ground)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if ((light + 0.05) / (dark + 0.05) < (large ? 3 : 4.5) - 0.01) breaks("color-contrast", e);
  }
  return found;
})()
