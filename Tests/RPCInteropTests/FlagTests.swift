import RPC
import Testing

@testable import rpc_interop_server

@Suite struct FlagTests {
  /// `maximumMessageBytes` -> `--max-message-bytes`.
  private static func flag(_ limit: String) -> String {
    let short = limit.hasPrefix("maximum") ? "max" + limit.dropFirst("maximum".count) : limit
    return short.reduce(into: "--") { flag, character in
      flag += character.isUppercase ? "-" + character.lowercased() : String(character)
    }
  }

  /// A limit that is new needs a flag.
  @Test func everyLimitHasAFlagThatSetsIt() throws {
    let defaults = Array(Mirror(reflecting: ServerLimits()).children)
    #expect(defaults.count >= 9)
    for (index, (label, value)) in defaults.enumerated() {
      let flag = Self.flag(try #require(label))
      let text = value is Duration ? "12345s" : "12345"
      let limits = try LimitOptions.parse([flag, text]).limits
      let changed = Array(Mirror(reflecting: limits).children)
      for (other, child) in changed.enumerated() where other != index {
        #expect(
          "\(child.value)" == "\(defaults[other].value)", "\(flag) also sets \(child.label ?? "")")
      }
      #expect("\(changed[index].value)" != "\(value)", "\(flag) sets nothing")
    }
    #expect(try LimitOptions.parse([]).limits == ServerLimits())
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
