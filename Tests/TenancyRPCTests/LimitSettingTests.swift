import Testing

@testable import TenancyRPC

/// The table of limits, by which configurations are read.
@Suite("Settings of limits") struct LimitSettingTests {
  private static func values(_ limits: ServerLimits) -> [String] {
    Mirror(reflecting: limits).children.map { "\($0.value)" }
  }

  /// Which properties are not the same, by their number.
  private static func changes(of limits: ServerLimits) -> [Int] {
    zip(values(ServerLimits()), values(limits)).enumerated()
      .filter { $0.element.0 != $0.element.1 }.map(\.offset)
  }

  /// Another than the default.
  private static func otherValue(of setting: LimitSetting) -> Int {
    let range = setting.range
    return setting.value(in: ServerLimits()) == range.upperBound
      ? range.lowerBound : range.upperBound
  }

  @Test func eachLimitIsThereOnce() throws {
    var found: [Int] = []
    for setting in ServerLimits.settings {
      var limits = ServerLimits()
      try setting.set(Self.otherValue(of: setting), in: &limits)
      let changed = Self.changes(of: limits)
      #expect(changed.count == 1, "\(setting.name) changes one limit and no other")
      found += changed
    }
    #expect(found.sorted() == Array(Self.values(ServerLimits()).indices))
    #expect(Set(ServerLimits.settings.map(\.name)).count == found.count)
  }

  @Test(arguments: ServerLimits.settings)
  func whatIsSetIsThere(_ setting: LimitSetting) throws {
    var limits = ServerLimits()
    for value in [setting.range.lowerBound, setting.range.upperBound] {
      try setting.set(value, in: &limits)
      #expect(setting.value(in: limits) == value)
    }
  }

  @Test(arguments: ServerLimits.settings)
  func onePastEitherEndIsRefused(_ setting: LimitSetting) {
    let range = setting.range
    for value in [range.lowerBound - 1, range.upperBound + 1, .min, .max] {
      var limits = ServerLimits()
      let error = #expect(throws: LimitError.self) { try setting.set(value, in: &limits) }
      let bounds = "from \(range.lowerBound) to \(range.upperBound)"
      #expect(error?.description == "\(setting.name): a number \(bounds) is expected")
      #expect(limits == ServerLimits())
    }
  }

  @Test(arguments: ServerLimits.settings)
  func defaultsAreInRange(_ setting: LimitSetting) {
    let value = setting.value(in: ServerLimits())
    #expect(value.map(setting.range.contains) ?? (setting.name == "connection_age_seconds"))
  }

  @Test func unitsAreThoseOfNames() throws {
    var limits = ServerLimits()
    func set(_ name: String, _ value: Int) throws {
      let setting = try #require(ServerLimits.settings.first { $0.name == name })
      try setting.set(value, in: &limits)
    }
    try set("handler_stall_milliseconds", 1500)
    try set("stall_seconds", 15)
    try set("connection_age_seconds", 150)
    #expect(limits.maximumHandlerStall == .milliseconds(1500))
    #expect(limits.stallTimeout == .seconds(15))
    #expect(limits.maximumConnectionAge == .seconds(150))
    for setting in ServerLimits.settings {
      #expect(
        !["timeout", "delay", "interval"].contains { setting.name.hasSuffix($0) },
        "\(setting.name) has no unit")
    }
  }

  /// What a limit must be when others are as they are, and how it is complained about.
  private struct Relation: CustomTestStringConvertible {
    let name: String
    let others: [(name: String, value: Int)]
    let least: Int

    var testDescription: String { name }
  }

  @Test(arguments: [
    Relation(
      name: "buffered_bytes", others: [("message_bytes", 8192), ("header_list_bytes", 1024)],
      least: 9216),
    Relation(
      name: "total_buffered_bytes",
      others: [("message_bytes", 8192), ("header_list_bytes", 1024)], least: 9216 + 16_384),
    Relation(name: "header_burst", others: [("header_list_bytes", 5000)], least: 5000),
    Relation(name: "continuations", others: [("header_list_bytes", 32_769)], least: 2),
  ])
  private func whatMayComeAloneHasRoom(_ relation: Relation) throws {
    let settings = Dictionary(uniqueKeysWithValues: ServerLimits.settings.map { ($0.name, $0) })
    var limits = ServerLimits()
    for (name, value) in relation.others { try settings[name]?.set(value, in: &limits) }
    try settings[relation.name]?.set(relation.least, in: &limits)
    #expect(throws: Never.self) { try limits.check() }
    try settings[relation.name]?.set(relation.least - 1, in: &limits)
    let error = #expect(throws: LimitError.self) { try limits.check() }
    #expect(error?.description.hasPrefix("\(relation.name): ") == true)
  }

  @Test func defaultsFitTogether() { #expect(throws: Never.self) { try ServerLimits().check() } }
}
