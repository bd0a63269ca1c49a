import TenancyRPC
import Testing

@testable import rpc_interop_server

@Suite struct FlagTests {
  /// `maximumIntermediates` -> `--max-intermediates`.
  private static func flag(_ limit: String) -> String {
    let short = ["maximum", "minimum"].first { limit.hasPrefix($0) }
      .map { $0.prefix(3) + limit.dropFirst($0.count) }
    return (short ?? limit[...]).reduce(into: "--") { flag, character in
      flag += character.isUppercase ? "-" + character.lowercased() : String(character)
    }
  }

  /// Checks that each property of `defaults` has a flag, by which `parse` sets it and nothing else: a
  /// limit that is new needs a flag.
  private static func expectFlags<Limits>(
    _ defaults: Limits, parse: ([String]) throws -> Limits
  ) throws {
    let properties = Array(Mirror(reflecting: defaults).children)
    #expect(!properties.isEmpty)
    for (index, (label, value)) in properties.enumerated() {
      let flag = flag(try #require(label))
      // Some durations are optional.
      let isDuration = "\(type(of: value))".contains("Duration")
      let changed = try parse([flag, isDuration ? "12345s" : "12345"])
      for (other, child) in Mirror(reflecting: changed).children.enumerated() {
        let isSame = "\(child.value)" == "\(properties[other].value)"
        #expect(isSame == (other != index), "\(flag) and \(child.label ?? "")")
      }
    }
  }

  @Test func everyLimitOfTLSHasAFlagThatSetsIt() throws {
    try Self.expectFlags(TLSLimits()) { try TLSLimitOptions.parse($0).limits }
    #expect(try TLSLimitOptions.parse([]).limits == TLSLimits())
  }

  @Test func everyLimitIsSetByItsName() throws {
    #expect(try LimitOptions.parse([]).limits() == LimitOptions.defaults)
    for setting in ServerLimits.settings {
      var expected = LimitOptions.defaults
      let value = setting.value(in: expected).map { $0 + 1 } ?? setting.range.lowerBound
      try setting.set(value, in: &expected)
      let flags = ["--limit", "\(setting.name)=\(value)"]
      #expect(try LimitOptions.parse(flags).limits() == expected)
    }
    let several = ["--limit", "stall_seconds=7", "--limit", "continuations=5"]
    let limits = try LimitOptions.parse(several).limits()
    #expect(limits.stallTimeout == .seconds(7) && limits.maximumContinuations == 5)
  }

  @Test(arguments: [
    "", "stall_seconds", "stall_seconds=", "stall_seconds=1s", "stall_seconds=1=1", "=1",
    "stalls=1", "stall_seconds=0", "stall_seconds=1000001", "header_burst=2048",
  ])
  func noLimits(_ text: String) {
    #expect(throws: (any Error).self) { try LimitOptions.parse(["--limit", text]) }
  }

  @Test(arguments: [
    ("500ms", Duration.milliseconds(500)), ("10s", .seconds(10)), ("0s", .zero),
    ("2m", .seconds(120)), ("1h", .seconds(3600)),
  ])
  func durations(_ text: String, _ duration: Duration) {
    #expect(DurationArgument(argument: text)?.duration == duration)
  }

  @Test(arguments: ["", "s", "10", "-1s", "1.5s", "10S", "1 s", "99999999999s", "١s"])
  func noDurations(_ text: String) { #expect(DurationArgument(argument: text) == nil) }

  @Test(arguments: [
    ("unix:/a:b", ListenAddress.unix(path: "/a:b", mode: 0o600)),
    ("tcp:localhost:0", .tcp(host: "localhost", port: 0, insecure: true)),
    ("tcp:[::1]:65535", .tcp(host: "::1", port: 65535, insecure: true)),
  ])
  func addresses(_ text: String, _ address: ListenAddress) {
    #expect(ListenArgument(argument: text)?.address(isSecure: false) == address)
  }

  @Test func withTLSThereIsNoPlainTCP() {
    let argument = ListenArgument(argument: "tcp:h:1")
    #expect(argument?.address(isSecure: true) == .tcp(host: "h", port: 1, insecure: false))
  }

  @Test(arguments: [
    "", "unix:", "unix", "tcp:", "tcp:h", "tcp::1", "tcp:h:-1", "tcp:h:65536", "/a",
  ])
  func noAddresses(_ text: String) { #expect(ListenArgument(argument: text) == nil) }
}
