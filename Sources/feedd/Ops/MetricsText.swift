// Prometheus's text format 0.0.4, family by family. Pure.

import FastFeed

struct MetricsText {
    enum Kind: String { case counter, gauge, histogram }

    private(set) var text = ""
    private var name = ""

    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// Begins a metric; its samples follow.
    mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
        self.name = name
        text += "# HELP \(name) \(MetricsText.escaped(help, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n"
    }

    /// - Parameter labels: as `label` renders them, with commas between.
    mutating func add(_ value: some BinaryInteger, _ labels: String = "") { line("", labels, String(value)) }
    mutating func add(_ value: Bool, _ labels: String = "") { line("", labels, value ? "1" : "0") }
    mutating func add(_ value: Double, _ labels: String = "") { line("", labels, MetricsText.number(value)) }

    static func label(_ name: String, _ value: String) -> String { "\(name)=\"\(escaped(value, quotes: true))\"" }

    /// A metric of one sample.
    mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: UInt64) {
        begin(name, kind, help)
        add(value)
    }

    mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
        begin(name, kind, help)
        add(value)
    }

    /// Upper bounds of the histograms' buckets, ns, and as they are written, in seconds.
    static let edges: [(ns: UInt64, text: String)] = [
        (50_000, "5e-05"), (100_000, "0.0001"), (250_000, "0.00025"), (500_000, "0.0005"), (1_000_000, "0.001"), (2_500_000, "0.0025"),
        (5_000_000, "0.005"), (10_000_000, "0.01"), (25_000_000, "0.025"), (50_000_000, "0.05"), (100_000_000, "0.1"),
        (250_000_000, "0.25"), (500_000_000, "0.5"), (1_000_000_000, "1"), (2_500_000_000, "2.5"), (5_000_000_000, "5"),
        (10_000_000_000, "10"), (30_000_000_000, "30"),
    ]

    private static let bucketLabels = edges.map { label("le", $0.text) } + [label("le", "+Inf")]

    mutating func add(_ histogram: HistogramSnapshot, _ labels: String = "") {
        let (counts, count) = (histogram.cumulative(MetricsText.edges.map(\.ns)), histogram.count)
        for (bucket, sum) in zip(MetricsText.bucketLabels, counts + [count]) {
            line("_bucket", labels.isEmpty ? bucket : "\(labels),\(bucket)", String(sum))
        }
        line("_sum", labels, MetricsText.number(histogram.sumNs / 1e9))
        line("_count", labels, String(count))
    }

    private mutating func line(_ suffix: String, _ labels: String, _ value: String) {
        text += name
        text += suffix
        if !labels.isEmpty {
            text += "{"
            text += labels
            text += "}"
        }
        text += " "
        text += value
        text += "\n"
    }

    private static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : "\(value)"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        guard text.utf8.contains(where: { $0 == 0x5C || $0 == 0x0A || quotes && $0 == 0x22 }) else { return text }
        return text.reduce(into: "") { out, character in
            switch character {
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\"" where quotes: out += "\\\""
            default: out.append(character)
            }
        }
    }
}
