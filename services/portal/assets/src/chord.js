import { base, ink, palette, tip } from "./common.js";

// chord draws members around a circle; the width of a band is what two of them won together. The last node may stand for
// all other members.
export function chord(data, width, height) {
  const narrow = width < 560;
  const room = narrow ? 0.66 : 0.82;
  const distance = 6;
  return {
    ...base(data.description),
    tooltip: tip(({ dataType, data: item }) =>
      dataType === "edge" ? [`${item.source} – ${item.target}`, item.text] : [item.name, item.text],
    ),
    series: [
      {
        type: "chord",
        center: ["50%", "50%"],
        radius: [`${room * 94}%`, `${room * 100}%`],
        startAngle: 90,
        padAngle: 1.5,
        minAngle: 1,
        data: data.nodes.map((node, i) => ({
          name: node.name,
          text: node.text,
          href: node.href,
          itemStyle: { color: node.rest ? "var(--before)" : palette[i % palette.length] },
        })),
        links: data.links.map((link) => ({
          source: link.source,
          target: link.target,
          value: Number(link.value),
          text: link.text,
        })),
        itemStyle: { borderRadius: 2 },
        lineStyle: { color: "source", opacity: 0.45 },
        label: {
          show: true,
          position: "outside",
          color: ink,
          fontSize: narrow ? 10 : 12,
          distance,
          overflow: "truncate",
          width: (width - room * Math.min(width, height)) / 2 - distance, // what is left beside the circle
        },
        emphasis: { focus: "none", itemStyle: { opacity: 1 }, lineStyle: { opacity: 0.75 } },
      },
    ],
  };
}
