import TenancyTestSupport

package import TenancyRPC

/// Runs `body` with a server on a Unix socket and a channel to it, and closes both.
package nonisolated(nonsending) func serving<Delegate: ServerDelegate, R>(
  _ methods: [ServiceMethod<Delegate>], by delegate: Delegate,
  over configuration: RPCChannel.Configuration = RPCChannel.Configuration(),
  _ body: (RPCChannel, Server) async throws -> R
) async throws -> R {
  let path = freePath()
  var settings = Server.Configuration(listeners: [.unix(path: path, mode: 0o600)])
  settings.eventLoops = 1
  let server = try await Server(settings, methods: methods, delegate: delegate)
  _ = try await server.start()
  let channel = RPCChannel(.unix(path: path), configuration: configuration)
  return try await outcome {
    try await body(channel, server)
  } then: {
    await channel.close()
    await server.stop(within: .seconds(5))
  }
}

extension RPCChannel.Configuration {
  /// That of a channel that speaks it, else the usual one.
  package static func speaking(_ wire: WireProtocol) -> Self {
    var configuration = Self()
    configuration.wireProtocol = wire
    return configuration
  }
}
