import NIOCore

/// A client's TLS connection for who reads and writes a socket by themselves, a few bytes after the other. No I/O.
/// Confined to one thread.
package final class TLSExchange {
  private let engine: TLSEngine

  /// - Parameters:
  ///   - context: of a client.
  ///   - serverName: a DNS name, which the server's certificate has to be for.
  ///   - pins: SHA-256 of keys of which one has to be in the server's chain; empty: any may be there.
  package init(
    _ context: TLSContext, serverName: String, pins: [[UInt8]]
  ) throws(TLSError) {
    engine = try TLSEngine(context, serverName: serverName, pins: pins)
  }

  /// Takes what the server has sent, for the next `handshake` or `read`.
  package func receive(_ bytes: ArraySlice<UInt8>) { engine.receive(ByteBuffer(bytes: bytes)) }

  /// What is to be sent to the server; empty: nothing.
  package func takeOutput() -> [UInt8] {
    engine.takeOutput().map { Array($0.readableBytesView) } ?? []
  }

  /// - Returns: whether it is finished, and the server is who it should be; else it needs more from the server, after
  ///   what there is to send.
  /// - Throws: why there is no connection. There may be output all the same, which tells the server.
  package func handshake() throws(TLSError) -> Bool {
    switch try engine.handshake() {
    case .done: true
    case .needsMore: false
    }
  }

  /// Only after the handshake.
  package func write(_ bytes: [UInt8]) throws(TLSError) {
    // The buffer pointer does not leave the call.
    var failure: TLSError?
    bytes.withUnsafeBytes { bytes in
      do throws(TLSError) { try engine.write(bytes) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// What the server says in what was received.
  /// - Returns: the plain text, and whether the server has said that this is all (close_notify).
  package func read() throws(TLSError) -> (bytes: [UInt8], isAll: Bool) {
    var buffer = ByteBuffer()
    let result = try engine.read(into: &buffer)
    let isAll =
      switch result {
      case .closed: true
      case .data: false
      }
    return (Array(buffer.readableBytesView), isAll)
  }
}
