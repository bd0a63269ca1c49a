import TenancyRPC
import Testing

@testable import tenantd

/// Which listener has which of the sockets that were passed on.
@Suite struct ListenersTests {
  private static let unix = ListenAddress.unix(path: "/s", mode: 0o660)
  private static let tcp = ListenAddress.tcp(host: "::", port: 7443)

  /// Sockets by name; those with an even number are Unix sockets.
  private func assigned(
    _ settings: [ListenerSettings], _ sockets: [(String, Int32)]
  ) throws -> Listeners {
    try Listeners(
      settings, sockets: sockets.map { InheritedSocket(name: $0, descriptor: $1) },
      fits: { socket, address in
        if case .unix = address { socket.descriptor % 2 == 0 } else { socket.descriptor % 2 == 1 }
      })
  }

  private func refusal(
    _ settings: [ListenerSettings], _ sockets: [(String, Int32)]
  ) -> String? {
    #expect(throws: ConfigurationError.self) { try assigned(settings, sockets) }?.description
  }

  @Test func areTakenByName() throws {
    let listeners = try assigned(
      [.init(Self.unix, activation: "b"), .init(Self.tcp), .init(Self.unix, activation: "a")],
      [("a", 4), ("b", 6)])
    #expect(listeners.bound == [Self.tcp])
    #expect(listeners.adopted.map(\.descriptor) == [6, 4])
    #expect(listeners.adopted.map(\.address) == [Self.unix, Self.unix])
  }

  /// All sockets of a unit have one name.
  @Test func areTakenByKindWhereTheNameIsTheSame() throws {
    let listeners = try assigned(
      [.init(Self.tcp, activation: "a"), .init(Self.unix, activation: "a")], [("a", 4), ("a", 3)])
    #expect(listeners.adopted.map(\.descriptor) == [3, 4])
  }

  @Test func withoutAnyNothingChanges() throws {
    let listeners = try assigned([.init(Self.tcp), .init(Self.unix)], [])
    #expect(listeners.bound == [Self.tcp, Self.unix])
    #expect(listeners.adopted.isEmpty)
  }

  @Test func whatDoesNotFitIsRefused() {
    let settings = [ListenerSettings(Self.tcp), .init(Self.unix, activation: "a")]
    #expect(
      refusal(settings, [])
        == "listeners[1]: activation: no socket named a was passed to this process: it is to be "
        + "started by its socket unit")
    #expect(
      refusal(settings, [("b", 4)])
        == "listeners[1]: activation: no socket named a was passed to this process")
    #expect(
      refusal(settings, [("a", 3)])
        == "listeners[1]: activation: what is named a is no Unix socket that listens")
    #expect(
      refusal(settings, [("a", 4), ("a", 6)])
        == "listeners[1]: activation: 2 Unix sockets are named a")
    #expect(
      refusal(settings, [("a", 4), ("c", 6)])
        == "a socket named c was passed to this process, and no listener has activation: \"c\"")
  }
}
