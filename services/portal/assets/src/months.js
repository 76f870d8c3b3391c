import { accent, base, before, quiet, rule, tip } from "./common.js";

// months draws a year's months beside those of the year before. A month that is hidden has no value.
export function months(data, width) {
  const narrow = width < 520;
  return {
    ...base(data.description),
    grid: { left: 4, right: 4, top: 12, bottom: 4, containLabel: true },
    tooltip: tip(({ dataIndex, seriesIndex }) => {
      const series = data.series[seriesIndex];
      return [`${data.months[dataIndex]} ${series.name}`, series.texts[dataIndex]];
    }),
    xAxis: {
      type: "category",
      data: narrow ? data.initials : data.months,
      axisTick: { show: false },
      axisLine: { lineStyle: { color: rule } },
      axisLabel: {
        color: quiet,
        fontSize: 12,
        interval: 0,
        // A month without a bar is hidden or empty: say which.
        formatter: (name, i) => (data.hidden[i] ? `${name}\n{hidden|${narrow ? "×" : data.hiddenText}}` : name),
        rich: { hidden: { color: quiet, fontSize: 9, fontStyle: "italic", lineHeight: 14 } },
      },
    },
    yAxis: {
      type: "value",
      splitNumber: narrow ? 3 : 4,
      splitLine: { lineStyle: { color: rule } },
      axisLabel: { color: quiet, fontSize: 12, formatter: compact(data.language) },
    },
    series: data.series.map((series, i) => ({
      type: "bar",
      name: series.name,
      data: series.values.map((value) => (value === null ? "-" : Number(value))),
      itemStyle: { color: i < data.series.length - 1 ? before : accent, borderRadius: [2, 2, 0, 0] },
      barGap: "8%",
      barCategoryGap: narrow ? "24%" : "34%",
      emphasis: { disabled: true },
    })),
  };
}

const compact = (language) => {
  const format = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });
  return (value) => format.format(value);
};
