// Draws the charts of a page. Each one is an element with data-chart; its data is the JSON in the script element that
// data-source names. Every chart has its table beside it, so a page says all without this script.
import * as echarts from "echarts/core";
import { BarChart, ChordChart } from "echarts/charts";
import { AriaComponent, GridComponent, TooltipComponent } from "echarts/components";
import { SVGRenderer } from "echarts/renderers";
import { months } from "./months.js";
import { chord } from "./chord.js";
import "./manage.js";
import "./deals.js";

echarts.use([AriaComponent, BarChart, ChordChart, GridComponent, SVGRenderer, TooltipComponent]);

const options = { months, chord };

for (const element of document.querySelectorAll("[data-chart]")) {
  draw(element, JSON.parse(document.getElementById(element.dataset.source).textContent));
}

// Of a chart on paper, as the style sheet has it: 178 mm by 50 mm, or by 100 mm for a tall one.
const paper = (element) => ({ width: 673, height: element.classList.contains("tall") ? 378 : 189 });

function draw(element, data) {
  element.hidden = false;
  const chart = echarts.init(element, null, { renderer: "svg" });
  const fit = (size) => {
    chart.resize(size);
    chart.setOption(options[element.dataset.chart](data, chart.getWidth(), chart.getHeight()));
  };
  fit();
  chart.on("click", (event) => {
    const address = event.data?.href;
    if (address) location.assign(address);
  });
  new ResizeObserver(() => {
    if (!matchMedia("print").matches && element.clientWidth !== chart.getWidth()) fit();
  }).observe(element);
  addEventListener("beforeprint", () => fit(paper(element)));
  addEventListener("afterprint", () => fit({ width: "auto", height: "auto" }));
}

for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
