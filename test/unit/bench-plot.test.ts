import { describe, expect, test } from 'vitest';
import { barPlot, linePlot } from '../../bench/lib/plot.ts';

const attribute = (svg: string, element: string, name: string): number[] =>
  [...svg.matchAll(new RegExp(`<${element} [^>]*?\\b${name}="([-0-9.]+)"`, 'g'))].map(([, value]) =>
    Number(value),
  );

describe('plots', () => {
  test('a logarithmic axis has decades as ticks, and equal factors are equal distances', () => {
    const svg = linePlot({
      title: 'cells & memory',
      x: { label: 'cells', scale: 'log' },
      y: { label: 'MiB' },
      series: [
        {
          name: 'one',
          points: [
            [10, 5],
            [100, 10],
            [1000, 0],
          ],
        },
      ],
    });
    const [a, b, c] = attribute(svg, 'circle', 'cx');
    expect(b - a).toBeCloseTo(c - b, 0);
    const [low, high, bottom] = attribute(svg, 'circle', 'cy');
    expect(bottom - low).toBeCloseTo(low - high, 0);
    for (const tick of ['>10<', '>100<', '>1,000<', 'cells &amp; memory']) expect(svg).toContain(tick);
  });

  test('what cannot be shown is left out, the rest stays', () => {
    const svg = linePlot({
      title: '',
      x: { label: '' },
      y: { label: '', scale: 'log' },
      series: [
        {
          name: 'one',
          points: [
            [1, 0],
            [2, Number.NaN],
            [3, 7],
          ],
        },
      ],
    });
    expect(attribute(svg, 'circle', 'cx')).toHaveLength(1);
    expect(svg).not.toContain('NaN');
  });

  test('bars are as high as their values, and a legend names them', () => {
    const svg = barPlot({
      title: '',
      y: { label: '' },
      names: ['us', 'them'],
      groups: [
        { name: 'a', values: [2, 4] },
        { name: 'b', values: [1, Number.NaN] },
      ],
    });
    const bars = [
      ...svg.matchAll(
        /<rect x="[^"]+" y="[^"]+" width="[^"]+" height="([^"]+)" fill="#(0072b2|d55e00)"\/><text/g,
      ),
    ];
    const [two, four, one] = bars.map(([, height]) => Number(height));
    expect(bars.length - 0).toBeGreaterThanOrEqual(3);
    expect(four / two).toBeCloseTo(2, 1);
    expect(two / one).toBeCloseTo(2, 1);
    expect(svg).toContain('>them<');
  });
});
