import ArgumentParser
import TenancyWire

/// A tenant's labels and annotations on the command line.
struct MetadataOptions: ParsableArguments {
  @Option(
    name: .customLong("label"),
    help: ArgumentHelp(
      "A label, which lists can look for. May be repeated.", valueName: "key=value"),
    transform: KeyValue.init(parsing:))
  var labels: [KeyValue] = []

  @Option(
    name: .customLong("annotation"),
    help: ArgumentHelp("A note under a key. May be repeated.", valueName: "key=value"),
    transform: KeyValue.init(parsing:))
  var annotations: [KeyValue] = []

  /// Puts them into a message.
  func apply(to tenant: inout V1.Tenant) throws(UsageError) {
    tenant.labels = try KeyValue.dictionary(labels, option: "--label") { $0.value }
    tenant.annotations = try KeyValue.dictionary(annotations, option: "--annotation") { $0.value }
  }
}

/// Labels and annotations that are taken away.
struct MetadataRemovals: ParsableArguments {
  @Option(help: ArgumentHelp("Removes a label. May be repeated.", valueName: "key"))
  var unsetLabel: [String] = []

  @Option(help: ArgumentHelp("Removes an annotation. May be repeated.", valueName: "key"))
  var unsetAnnotation: [String] = []

  /// Paths of a mask for what a message sets and for what is removed.
  func paths(with tenant: V1.Tenant) throws(UsageError) -> [String] {
    try paths("labels", set: tenant.labels, unset: unsetLabel)
      + paths("annotations", set: tenant.annotations, unset: unsetAnnotation)
  }

  private func paths(
    _ field: String, set: [String: String], unset: [String]
  ) throws(UsageError) -> [String] {
    if let both = unset.first(where: { set[$0] != nil }) {
      throw UsageError("'\(both)' can't be both set and unset")
    }
    return (set.keys.sorted() + unset).map { "\(field).\($0)" }
  }
}
