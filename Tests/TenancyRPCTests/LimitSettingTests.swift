import Testing

@testable import TenancyRPCClient
@testable import TenancyRPCServer

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

  // MARK: Servers

  private static let settings = Dictionary(
    uniqueKeysWithValues: ServerLimits.settings.map { ($0.name, $0) })

  /// Those of `name` and so many others as must go with it.
  private static func limits(_ name: String, _ value: Int) throws -> ServerLimits {
    var limits = ServerLimits()
    try settings[name]?.set(value, in: &limits)
    for setting in ServerLimits.settings where setting.name != name {
      do {
        try limits.check()
        return limits
      } catch {
        // What goes with it is what is complained about, or what that is compared with.
        guard error.description.contains(setting.name) else { continue }
        let isRoom = error.description.hasPrefix(setting.name)
        try setting.set(
          isRoom ? setting.range.upperBound : setting.range.lowerBound, in: &limits)
      }
    }
    return limits
  }

  private static func expectCalls(
    _ limits: ServerLimits, packing: Bool = true, _ comment: Comment
  ) async throws {
    var options = RPCCallOptions()
    for wire in [WireProtocol.grpc, .ttrpc] {
      try await withEcho(limits: limits, wire: wire) { channel async throws in
        for path in ["/test.Echo/Inline", "/test.Echo/Async"] {
          for size in [0, 100, 1000, 1024] {
            let message = [UInt8](repeating: 1, count: size)
            options.compressesRequests = false
            #expect(try await channel.ask(path, message, options) == message, comment)
            options.compressesRequests = packing
            #expect(try await channel.ask(path, message, options) == message, comment)
          }
        }
      }
    }
  }

  /// Whether a machine that is busy may need longer than the least of it.
  private static func isTime(_ setting: LimitSetting) -> Bool { setting.name.hasSuffix("seconds") }

  @Test(arguments: ServerLimits.settings)
  func serversWorkAtEitherEnd(_ setting: LimitSetting) async throws {
    let least = Self.isTime(setting) ? [] : [setting.range.lowerBound]
    for value in least + [setting.range.upperBound] {
      // What has to hold a message and its headers is too small then for those that are sent here.
      let isTooSmall = ["buffered_bytes", "total_buffered_bytes"].contains(setting.name)
      if isTooSmall, value == setting.range.lowerBound { continue }
      let limits = try Self.limits(setting.name, value)
      try limits.check()
      try await Self.expectCalls(limits, "\(setting.name): \(value)")
    }
  }

  @Test func serversWorkWithTheLeastOfAll() async throws {
    var limits = ServerLimits()
    for setting in ServerLimits.settings where !Self.isTime(setting) {
      try setting.set(setting.range.lowerBound, in: &limits)
    }
    try Self.settings["buffered_bytes"]?.set(2048, in: &limits)
    try Self.settings["total_buffered_bytes"]?.set(2048 + 16_384, in: &limits)
    try limits.check()
    // What may be unpacked in a second is a part of the smallest message.
    try await Self.expectCalls(limits, packing: false, "the least")
  }

  @Test func serversWorkWithTheMostOfAll() async throws {
    var limits = ServerLimits()
    for setting in ServerLimits.settings { try setting.set(setting.range.upperBound, in: &limits) }
    try limits.check()
    try await Self.expectCalls(limits, "the most")
  }
}
