/// Writes Prometheus text format 0.0.4: each metric with its help and type. Names and label values are ours and need no escape.
struct MetricsText {
  private(set) var text = ""

  mutating func gauge(_ name: String, _ help: String, _ value: Double) {
    head(name, help, "gauge")
    text += "\(name) \(Decimals.text(value, places: 3))\n"
  }

  mutating func gauge(_ name: String, _ help: String, label: String, _ series: [(String, Double)]) {
    head(name, help, "gauge")
    for (value, number) in series { text += "\(name){\(label)=\"\(value)\"} \(Decimals.text(number, places: 3))\n" }
  }

  mutating func counter(_ name: String, _ help: String, _ value: Int64) {
    head(name, help, "counter")
    text += "\(name) \(value)\n"
  }

  mutating func counter(_ name: String, _ help: String, label: String, _ series: [(String, Int64)]) {
    head(name, help, "counter")
    for (value, number) in series { text += "\(name){\(label)=\"\(value)\"} \(number)\n" }
  }

  mutating func histogram(_ name: String, _ help: String, _ histogram: MetricsPage.Histogram) {
    head(name, help, "histogram")
    // The format's buckets hold all that is below them too.
    var below: UInt64 = 0
    for (bound, count) in zip(histogram.bounds, histogram.counts) {
      below += count
      text += "\(name)_bucket{le=\"\(bound)\"} \(below)\n"
    }
    let all = histogram.counts.reduce(0, +)
    text += "\(name)_bucket{le=\"+Inf\"} \(all)\n"
    text += "\(name)_sum \(Decimals.text(histogram.sumSeconds, places: 6))\n"
    text += "\(name)_count \(all)\n"
  }

  private mutating func head(_ name: String, _ help: String, _ type: String) {
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
  }
}
