const WIDTH = 760;
const LABEL = 250;
const BAR = 18;
const GAP = 10;
const HEAD = 54;

const toXml = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('`', '');

/**
 * Draws horizontal bars of the groups that the rows provide (`bars`), as an SVG that is legible on light and dark
 * pages.
 */
export function drawChart(rows) {
  let y = 0;
  const parts = [];
  for (const { title, unit, bars } of rows.flatMap((row) => row.bars ?? [])) {
    const largest = Math.max(...bars.map(({ value }) => value));
    parts.push(`<text class="title" x="0" y="${y + 22}">${toXml(title)}</text>`);
    parts.push(`<text class="unit" x="0" y="${y + 40}">${toXml(unit)}</text>`);
    y += HEAD;
    for (const { name, value, ours } of bars) {
      const width = Math.max(2, (value / largest) * (WIDTH - LABEL - 70));
      const middle = y + BAR / 2 + 4.5;
      parts.push(`<text class="name" x="${LABEL - 10}" y="${middle}">${toXml(name)}</text>`);
      parts.push(
        `<rect class="${ours ? 'ours' : 'other'}" x="${LABEL}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="3"/>`,
      );
      parts.push(`<text class="value" x="${(LABEL + width + 8).toFixed(1)}" y="${middle}">${value.toFixed(1)}</text>`);
      y += BAR + GAP;
    }
    y += GAP * 2;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-16 -8 ${WIDTH + 32} ${y + 16}" role="img" aria-label="Server CPU per delivery, by server">
<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px }
.unit { fill: #59636e }
.name { text-anchor: end }
.ours { fill: #0969da }
.other { fill: #afb8c1 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.unit { fill: #9198a1 }
.ours { fill: #4493f8 }
.other { fill: #656c76 }
}
</style>
${parts.join('\n')}
</svg>
`;
}
