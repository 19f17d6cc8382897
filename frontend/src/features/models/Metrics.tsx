/** How well a version did on devices that no part of it has seen, each figure beside what no model at all would have come to. */
import type { ModelDetail } from "@/api/schema"
import { Figure, FigureStrip } from "@/components/Figure"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { metricText } from "./metricText"

export function Metrics({ model: { metrics, failures } }: { readonly model: ModelDetail }) {
  return (
    <FigureStrip label={say("models.figures")}>
      {(["rmse_h", "concordance", "brier", "coverage_90"] as const).map((name) => (
        <Figure
          key={name}
          title={say(`models.metrics.${name}`)}
          figure={metricText(name, metrics[name])}
          help={say(`models.metricsHelp.${name}`, {
            constant: metricText(name, metrics[CONSTANTS[name]]),
          })}
        />
      ))}
      {metrics.false_unlike === undefined ? null : (
        <Figure
          title={say("models.metrics.unlike_at_failure")}
          figure={metricText("unlike_at_failure", metrics.unlike_at_failure)}
          help={say("models.metricsHelp.unlike_at_failure", {
            lead: metricText("unlike_lead_h", metrics.unlike_lead_h),
            false: metricText("false_unlike", metrics.false_unlike),
          })}
        />
      )}
      <Figure
        title={say("models.judged")}
        figure={say("models.judgedFigure", { n: metrics.devices ?? 0, shown: count(metrics.devices) })}
        help={say("models.judgedHelp", { failures: count(metrics.failures) })}
      />
      <Figure
        title={say("models.failures")}
        figure={say("models.failuresN", { n: failures ?? 0, shown: count(failures) })}
        help={say("models.failuresHelp")}
      />
    </FigureStrip>
  )
}

/** The metric of one forecast for all devices that a metric is held against; empty: it needs none. */
const CONSTANTS = { rmse_h: "rmse_constant_h", brier: "brier_constant", concordance: "", coverage_90: "" }
