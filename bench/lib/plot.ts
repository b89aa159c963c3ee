/** Plots as plain SVG: lines with marks over a linear or logarithmic axis, or groups of bars. */

export interface Series {
  readonly name: string;
  /** In the order of x. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Axis {
  readonly label: string;
  /** Default: linear, from 0. A logarithmic axis has no place for values that are not positive: they are left out. */
  readonly scale?: 'linear' | 'log';
}

export interface LinePlot {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

export interface BarPlot {
  readonly title: string;
  readonly y: Axis;
  /** A group of bars for each, and in it a bar for each of `names`; NaN: none. */
  readonly groups: readonly { readonly name: string; readonly values: readonly number[] }[];
  readonly names: readonly string[];
}

const WIDTH = 720;
const HEIGHT = 420;
const LEFT = 76;
const RIGHT = 24;
const TOP = 48;
const BOTTOM = 56;
const LEGEND_LINE = 20;
const TICKS = 5;
/** Told apart in grey and by people who do not see all colours (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000', '#999999'];

interface Scale {
  readonly ticks: readonly number[];
  /** 0 to 1 along the axis. */
  at(value: number): number;
  shows(value: number): boolean;
}

export function linePlot({ title, x, y, series }: LinePlot): string {
  const points = series.flatMap((one) => one.points);
  const across = scaleFor(
    x,
    points.map(([value]) => value),
  );
  const up = scaleFor(
    y,
    points.map(([, value]) => value),
  );
  const lines = series.map(({ points: own }, i) => {
    const colour = COLOURS[i % COLOURS.length];
    const places = own
      .filter(([a, b]) => across.shows(a) && up.shows(b))
      .map(([a, b]) => [place(left(across.at(a))), place(top(up.at(b)))]);
    const marks = places.map(([a, b]) => `<circle cx="${a}" cy="${b}" r="3.5" fill="${colour}"/>`);
    const path = places.map((pair) => pair.join(',')).join(' ');
    return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>${marks.join('')}`;
  });
  const labels = across.ticks.map((tick) => tickAcross(left(across.at(tick)), number(tick), true));
  const names = series.map(({ name }) => name);
  return picture(title, names, [...frame(y, up), ...labels, labelAcross(x.label), ...lines]);
}

export function barPlot({ title, y, groups, names }: BarPlot): string {
  const up = scaleFor(
    y,
    groups.flatMap(({ values }) => values.filter(Number.isFinite)),
  );
  const group = 1 / groups.length;
  const bar = (group * 0.8) / names.length;
  const bars = groups.flatMap(({ name, values }, i) => {
    const start = i * group + group * 0.1;
    const drawn = values.map((value, j) => {
      if (!up.shows(value)) return '';
      const from = left(start + j * bar);
      const high = top(up.at(value));
      const width = place(left(start + (j + 1) * bar) - from - 1);
      const height = place(top(0) - high);
      const label = `<text x="${place(from + width / 2)}" y="${place(high - 4)}" text-anchor="middle" font-size="10">${number(value)}</text>`;
      return `<rect x="${place(from)}" y="${place(high)}" width="${width}" height="${height}" fill="${COLOURS[j % COLOURS.length]}"/>${label}`;
    });
    return [...drawn, tickAcross(left((i + 0.5) * group), name, false)];
  });
  return picture(title, names, [...frame(y, up), ...bars]);
}

function scaleFor({ scale }: Axis, values: readonly number[]): Scale {
  return scale === 'log' ? logarithmic(values) : linear(values);
}

function linear(values: readonly number[]): Scale {
  const most = Math.max(...values.filter(Number.isFinite), Number.MIN_VALUE);
  const rough = most / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? rough;
  const end = Math.ceil(most / step - 1e-9) * step;
  const ticks = Array.from({ length: Math.round(end / step) + 1 }, (_, i) => i * step);
  return { ticks, at: (value) => value / end, shows: (value) => Number.isFinite(value) && value >= 0 };
}

function logarithmic(values: readonly number[]): Scale {
  const positive = values.filter((value) => Number.isFinite(value) && value > 0);
  const first = Math.floor(Math.log10(Math.min(...positive, 1e9)));
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...positive, Number.MIN_VALUE)) - 1e-9));
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
  const at = (value: number) => (Math.log10(value) - first) / (last - first);
  return { ticks, at, shows: (value) => Number.isFinite(value) && value > 0 };
}

/** Pixels, for 0 to 1 along an axis. */
const left = (part: number): number => LEFT + part * (WIDTH - LEFT - RIGHT);
const top = (part: number): number => HEIGHT - BOTTOM - part * (HEIGHT - BOTTOM - TOP);
const place = (value: number): number => Number(value.toFixed(1));

const number = (value: number): string =>
  Math.abs(value) >= 1
    ? Number(value.toPrecision(4)).toLocaleString('en-US')
    : String(Number(value.toPrecision(3)));

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** The axis upwards, with a line across for each of its ticks. */
function frame({ label }: Axis, { ticks, at }: Scale): string[] {
  const middle = place((TOP + HEIGHT - BOTTOM) / 2);
  return [
    ...ticks.map((tick) => {
      const y = place(top(at(tick)));
      const line = `<line x1="${LEFT}" y1="${y}" x2="${WIDTH - RIGHT}" y2="${y}" stroke="#ddd"/>`;
      return `${line}<text x="${LEFT - 8}" y="${y + 4}" text-anchor="end">${number(tick)}</text>`;
    }),
    `<line x1="${LEFT}" y1="${top(0)}" x2="${WIDTH - RIGHT}" y2="${top(0)}" stroke="#333"/>`,
    `<text x="18" y="${middle}" text-anchor="middle" transform="rotate(-90 18 ${middle})">${escaped(label)}</text>`,
  ];
}

function tickAcross(x: number, label: string, line: boolean): string {
  const text = `<text x="${place(x)}" y="${top(0) + 18}" text-anchor="middle">${escaped(label)}</text>`;
  if (!line) return text;
  return `<line x1="${place(x)}" y1="${top(0)}" x2="${place(x)}" y2="${top(0) + 5}" stroke="#333"/>${text}`;
}

const labelAcross = (label: string): string =>
  `<text x="${place(left(0.5))}" y="${HEIGHT - 14}" text-anchor="middle">${escaped(label)}</text>`;

/** With a legend below when there is more than one name. */
function picture(title: string, names: readonly string[], parts: readonly string[]): string {
  const legend = names.length < 2 ? [] : names;
  const lines = legend.map((name, i) => {
    const y = HEIGHT + i * LEGEND_LINE;
    const box = `<rect x="${LEFT}" y="${y}" width="12" height="12" fill="${COLOURS[i % COLOURS.length]}"/>`;
    return `${box}<text x="${LEFT + 20}" y="${y + 10}">${escaped(name)}</text>`;
  });
  const height = HEIGHT + legend.length * LEGEND_LINE;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    `<text x="${LEFT}" y="28" font-size="15" font-weight="bold">${escaped(title)}</text>`,
    ...parts,
    ...lines,
    '</svg>\n',
  ].join('\n');
}
