import NIOCore
import Synchronization

@testable import TenancyCrypto

/// Two ends of a TLS connection whose bytes are carried between them by hand.
struct EnginePair {
  let server: TLSEngine
  let client: TLSEngine
  private(set) var serverResult: Result<TLSEngine.Session, TLSError>?
  private(set) var clientResult: Result<TLSEngine.Session, TLSError>?

  init(
    _ server: TLSContext, _ client: TLSContext, serverName: String? = nil
  ) throws {
    self.server = try TLSEngine(server)
    self.client = try TLSEngine(client, serverName: serverName)
    for _ in 0..<10 {
      clientResult = clientResult ?? Self.step(self.client)
      carry(from: self.client, to: self.server)
      serverResult = serverResult ?? Self.step(self.server)
      carry(from: self.server, to: self.client)
    }
  }

  /// Why the server refused the client, or nil.
  var serverRefusal: TLSError? {
    guard case .failure(let error) = serverResult else { return nil }
    return error
  }

  var clientRefusal: TLSError? {
    guard case .failure(let error) = clientResult else { return nil }
    return error
  }

  var serverSession: TLSEngine.Session {
    get throws {
      guard let serverResult else { throw TLSError("the handshake is not over") }
      return try serverResult.get()
    }
  }

  func carry(from: TLSEngine, to: TLSEngine) {
    if let bytes = from.takeOutput() { to.receive(bytes) }
  }

  private static func step(_ engine: TLSEngine) -> Result<TLSEngine.Session, TLSError>? {
    do throws(TLSError) {
      switch try engine.handshake() {
      case .needsMore: return nil
      case .done(let session): return .success(session)
      }
    } catch {
      return .failure(error)
    }
  }
}

/// A clock that is set by hand, from the real time on.
final class HandClock: Sendable {
  private struct State {
    var offset: Int64 = 0
    var stopped: Int64?
  }

  private let state = Mutex(State())

  @Sendable func now() -> Int64 {
    state.withLock { ($0.stopped ?? RealTime.seconds()) + $0.offset }
  }

  func advance(by seconds: Int64) { state.withLock { $0.offset += seconds } }

  /// From now on only `advance` moves it: however slow the machine is, no more time passes.
  func stop() { state.withLock { $0.stopped = RealTime.seconds() } }
}
