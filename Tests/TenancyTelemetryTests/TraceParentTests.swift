import Testing

@testable import TenancyTelemetry

@Suite("traceparent, as W3C Trace Context has it")
struct TraceParentTests {
  private static let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

  private static func parse(_ text: String) -> TraceParent? {
    Array(text.utf8).withUnsafeBytes { TraceParent(parsing: $0) }
  }

  @Test func whatIsGood() throws {
    let parent = try #require(Self.parse(Self.good))
    #expect(parent.trace.text == "4bf92f3577b34da6a3ce929d0e0e4736")
    #expect(parent.parent.text == "00f067aa0ba902b7")
    #expect(parent.isSampled)
    #expect(parent.text == Self.good)
    #expect(Self.parse(Self.good.dropLast(2) + "00")?.isSampled == false)
    // Flags that level 1 does not know are passed over.
    #expect(Self.parse(Self.good.dropLast(2) + "ff")?.isSampled == true)
    #expect(Self.parse(Self.good.dropLast(2) + "fe")?.isSampled == false)
  }

  private static let bad: [String] = {
    let rest = String(good.dropFirst(2))
    let framed: [String] = [
      "", "00", good + "-", good + "-00", good + "0", " " + good, String(good.dropLast()),
      good.uppercased(), "ff" + rest, "0g" + rest, "0" + good, "cc" + rest + "what",
      "cc" + rest + ".what",
    ]
    let written: [String] = [
      "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
      "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
      "00-4bf92f3577b34da6a3ce929d0e0e473x-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902bX-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0 ",
    ]
    return framed + written
  }()

  @Test(arguments: bad)
  func whatIsIgnored(text: String) {
    #expect(Self.parse(text) == nil)
  }

  @Test(arguments: ["", "-", "-what the future holds"])
  func higherVersions(rest: String) {
    let parent = Self.parse("cc" + Self.good.dropFirst(2) + rest)
    #expect(parent == Self.parse(Self.good))
  }
}
