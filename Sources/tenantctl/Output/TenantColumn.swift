import Tenancy
import TenancyWire

/// A column of a list of tenants.
struct TenantColumn: Sendable {
  let name: String
  let header: String
  let value: @Sendable (V1.Tenant) -> String

  private init(
    _ name: String, header: String? = nil, _ value: @escaping @Sendable (V1.Tenant) -> String
  ) {
    self.name = name
    self.header = header ?? name.uppercased().replacing("-", with: " ")
    self.value = value
  }

  private static let fixed = [
    TenantColumn("name") { $0.name },
    TenantColumn("id") { $0.id },
    TenantColumn("slug") { $0.slug },
    TenantColumn("display-name") { $0.displayName },
    TenantColumn("state") { $0.state.shortName },
    TenantColumn("reason") { $0.stateReason },
    TenantColumn("isolation") { $0.isolationModel.shortName },
    TenantColumn("plan") { $0.configuration?.limits?.plan ?? "" },
    TenantColumn("region") { $0.configuration?.placement?.region ?? "" },
    TenantColumn("cluster") { $0.configuration?.placement?.cluster ?? "" },
    TenantColumn("labels") { pairs($0.labels) },
    TenantColumn("annotations") { pairs($0.annotations) },
    TenantColumn("epoch") { String($0.epoch) },
    TenantColumn("etag") { $0.etag },
    TenantColumn("created") { $0.createTime?.text ?? "" },
    TenantColumn("updated") { $0.updateTime?.text ?? "" },
    TenantColumn("deleted") { $0.deleteTime?.text ?? "" },
    TenantColumn("purged-after") { $0.purgeTime?.text ?? "" },
  ]

  /// Of a member of a map, by its key.
  private static let keyed: [(prefix: String, value: @Sendable (V1.Tenant, String) -> String)] = [
    ("labels.", { $0.labels[$1] ?? "" }),
    ("annotations.", { $0.annotations[$1] ?? "" }),
    ("settings.", { $0.configuration?.customSettings?[$1]?.text() ?? "" }),
    ("flags.", { tenant, key in tenant.configuration?.featureFlags[key].map { "\($0)" } ?? "" }),
  ]

  static var names: String {
    (fixed.map(\.name) + keyed.map { "\($0.prefix)KEY" }).joined(separator: ", ")
  }

  static let usual = pick("slug", "state", "isolation", "created", "id", "display-name")
  static let wide = pick(
    "slug", "state", "isolation", "plan", "region", "cluster", "created", "updated", "epoch", "id",
    "labels", "display-name")
  /// What is left out first where there is no room.
  static let expendable = "CREATED"

  private static func pick(_ names: String...) -> [Self] {
    names.compactMap { name in fixed.first { $0.name == name } }
  }

  private static func pairs(_ pairs: [String: String]) -> String {
    pairs.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
  }

  /// `slug,state,labels.region`.
  @Sendable static func parse(_ text: String) throws(UsageError) -> [Self] {
    try text.split(separator: ",", omittingEmptySubsequences: false).map {
      part throws(UsageError) in
      let name = String(part)
      if let column = fixed.first(where: { $0.name == name }) { return column }
      guard let kind = keyed.first(where: { name.hasPrefix($0.prefix) }), kind.prefix != name
      else {
        throw UsageError("there is no column '\(name)'; there are \(names)")
      }
      let key = String(name.dropFirst(kind.prefix.count))
      return TenantColumn(name, header: name) { kind.value($0, key) }
    }
  }
}

/// A table whose rows come in parts: columns become wider where they must, and never narrower.
struct GrowingTable {
  private let header: [String]
  private let expendable: String?
  private var widths: [Int] = []
  private var isBegun = false
  /// Which column is left out; it is seen by the first rows.
  private var dropped: Int?

  init(_ header: [String], expendable: String? = nil) {
    self.header = header
    self.expendable = expendable
  }

  /// The next lines; before the first there is the header.
  mutating func lines(_ rows: [[String]], width: Int? = Terminal.width) -> [String] {
    var all = rows.map { row in row.map { $0.isEmpty ? "-" : Printable.text($0) } }
    if !isBegun { all.insert(header.map(Printable.text), at: 0) }
    if !isBegun, let width {
      var tried = widths
      let wide = Table.align(all, gap: 2, atLeast: &tried)
      if wide.contains(where: { $0.count > width }) {
        dropped = header.firstIndex { $0 == expendable }
      }
    }
    isBegun = true
    if let dropped {
      all = all.map { row in row.enumerated().filter { $0.offset != dropped }.map(\.element) }
    }
    return Table.align(all, gap: 2, atLeast: &widths).map { line in
      guard let width, line.count > width else { return line }
      return line.prefix(max(0, width - 1)) + "…"
    }
  }
}
