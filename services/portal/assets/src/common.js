// Colours are those of the style sheet, so that a chart follows the theme and the paper by itself.
export const ink = "var(--ink)";
export const quiet = "var(--quiet)";
export const rule = "var(--rule)";
export const accent = "var(--accent)";
export const before = "var(--before)";
export const palette = Array.from({ length: 8 }, (_, i) => `var(--chart-${i + 1})`);
export const font = "system-ui, sans-serif";

export const base = (description) => ({
  animation: false, // an animation would need styles that the page's policy forbids
  textStyle: { fontFamily: font, color: ink },
  aria: { enabled: true, label: { description } },
});

// tip shows lines of text in an element of its own: ECharts' default writes style attributes, which the policy forbids.
export const tip = (lines) => ({
  trigger: "item",
  confine: true,
  backgroundColor: "var(--raised)",
  borderColor: rule,
  textStyle: { color: ink, fontFamily: font, fontSize: 13 },
  formatter: (params) => {
    const box = document.createElement("div");
    for (const line of lines(params).filter(Boolean)) {
      box.append(Object.assign(document.createElement("div"), { textContent: line }));
    }
    return box;
  },
});
