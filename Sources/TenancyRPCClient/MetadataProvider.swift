import Synchronization
public import TenancyRPCCore

/// Gives calls metadata that proves who makes them. A call whose provider fails is not made: it ends
/// with the provider's `RPCStatus`, or UNAUTHENTICATED.
///
/// What it gives never travels in plain text over a network: channels use TLS or Unix sockets.
public protocol MetadataProvider: Sendable {
  /// What to send with a call of `path`, if that is known without waiting. Must not block.
  func current(for path: String) -> RPCMetadata?
  /// What to send with a call of `path`. Cancelled when the call ends meanwhile.
  func metadata(for path: String) async throws -> RPCMetadata
}

extension MetadataProvider {
  public func current(for path: String) -> RPCMetadata? { nil }
}

/// A bearer token and how long it is good.
public struct BearerToken: Sendable, Hashable {
  /// Without `Bearer`. A secret: not for logs.
  public let value: String
  /// nil: for ever.
  public let expires: ContinuousClock.Instant?
  /// When a `TokenProvider` begins to renew it; nil: as long before its end as the provider says.
  public let renewal: ContinuousClock.Instant?

  /// - Parameters:
  ///   - expires: from then on it isn't sent; nil: never.
  ///   - renewal: from then on a new one is fetched in the background.
  public init(
    _ value: String, expires: ContinuousClock.Instant? = nil,
    renewal: ContinuousClock.Instant? = nil
  ) {
    self.value = value
    self.expires = expires
    self.renewal = renewal
  }
}

/// Sends this token, as the credentials of a call or of a channel, until its end.
extension BearerToken: MetadataProvider {
  public func current(for path: String) -> RPCMetadata? {
    expires.map { .now < $0 } ?? true ? ["authorization": "Bearer \(value)"] : nil
  }

  public func metadata(for path: String) async throws -> RPCMetadata {
    guard let metadata = current(for: path) else {
      throw RPCStatus(.unauthenticated, "the token of the call has expired")
    }
    return metadata
  }
}

/// Sends `authorization: Bearer …`, fetching tokens when they are needed: one at a time, however many
/// calls wait for it, and ahead of time while the last one is still good. Thread-safe.
public final class TokenProvider: MetadataProvider {
  /// Gets a new token. What it throws ends the calls that wait for it: an `RPCStatus` as it is, others as
  /// UNAUTHENTICATED.
  public typealias Fetch = @Sendable () async throws -> BearerToken

  private struct State {
    var token: BearerToken?
    var metadata = RPCMetadata()
    var fetching: Task<BearerToken, any Error>?
    /// A fetch ahead of time failed: not before this again.
    var nextRefresh: ContinuousClock.Instant?
    /// When the token came.
    var fetched: ContinuousClock.Instant?
  }

  private let state = Mutex(State())
  private let refreshAhead: Duration
  private let now: @Sendable () -> ContinuousClock.Instant
  private let fetch: Fetch

  /// How long a token that is still good is used before its renewal is tried again.
  static let refreshPause = Duration.seconds(5)

  /// - Parameters:
  ///   - refreshAhead: how long before its end a token is renewed, in the background.
  ///   - fetch: gets a new token. Not called again while it runs.
  public convenience init(refreshAhead: Duration = .seconds(60), fetch: @escaping Fetch) {
    self.init(refreshAhead: refreshAhead, now: { .now }, fetch: fetch)
  }

  package init(
    refreshAhead: Duration, now: @escaping @Sendable () -> ContinuousClock.Instant,
    fetch: @escaping Fetch
  ) {
    self.refreshAhead = refreshAhead
    self.now = now
    self.fetch = fetch
  }

  deinit { state.withLock { $0.fetching?.cancel() } }

  public func current(for path: String) -> RPCMetadata? {
    let now = now()
    return state.withLock { state in
      guard let token = state.token, Self.isGood(token, now) else { return nil }
      if let renewal = token.renewal ?? token.expires.map({ $0 - refreshAhead }),
        now >= renewal, state.fetching == nil,
        now >= state.nextRefresh ?? now
      {
        state.nextRefresh = now + Self.refreshPause
        startFetch(&state)
      }
      return state.metadata
    }
  }

  public func metadata(for path: String) async throws -> RPCMetadata {
    if let metadata = current(for: path) { return metadata }
    return Self.metadata(try await fetched())
  }

  /// The token that calls would be sent with now.
  package func token() async throws -> BearerToken {
    if current(for: "") != nil, let token = state.withLock(\.token) { return token }
    return try await fetched()
  }

  /// Has the next call fetch another token: servers refuse this one. Not within `refreshPause` of the last fetch:
  /// a server that refuses all of them is not asked over and over again.
  package func discard() {
    let now = now()
    state.withLock { state in
      guard let fetched = state.fetched, now >= fetched + Self.refreshPause else { return }
      state.token = nil
    }
  }

  private func fetched() async throws -> BearerToken {
    let task = state.withLock { state in state.fetching ?? startFetch(&state) }
    // The fetch is everyone's: a call that gives up does not end it, and does not wait for it.
    let token = try await Self.value(of: task)
    guard Self.isGood(token, now()) else {
      throw RPCStatus(.unauthenticated, "the token provider gave a token that has expired")
    }
    return token
  }

  @discardableResult
  private func startFetch(_ state: inout State) -> Task<BearerToken, any Error> {
    let fetch = fetch
    let task = Task { [weak self] in
      do {
        let token = try await fetch()
        self?.keep(token)
        return token
      } catch {
        self?.keep(nil)
        throw error
      }
    }
    state.fetching = task
    return task
  }

  private func keep(_ token: BearerToken?) {
    let now = now()
    state.withLock { state in
      state.fetching = nil
      guard let token else { return }
      state.token = token
      state.fetched = now
      state.metadata = Self.metadata(token)
      state.nextRefresh = nil
    }
  }

  private static func value(of task: Task<BearerToken, any Error>) async throws -> BearerToken {
    let (results, sink) = AsyncThrowingStream<BearerToken, any Error>.makeStream()
    let waiting = Task {
      do {
        sink.yield(try await task.value)
        sink.finish()
      } catch {
        sink.finish(throwing: error)
      }
    }
    defer { waiting.cancel() }
    for try await token in results { return token }
    throw CancellationError()
  }

  private static func isGood(_ token: BearerToken, _ now: ContinuousClock.Instant) -> Bool {
    token.expires.map { now < $0 } ?? true
  }

  private static func metadata(_ token: BearerToken) -> RPCMetadata {
    ["authorization": "Bearer \(token.value)"]
  }
}

/// What a failed provider makes of its call.
enum CredentialsFailure {
  static func catching<Value: Sendable>(
    _ body: () async throws -> Value
  ) async -> Result<Value, RPCStatus> {
    do {
      return .success(try await body())
    } catch let status as RPCStatus {
      // "OK" would be a lie, and the other codes are the method's to give (gRFC A54).
      let isOwn = status.code == .unavailable || status.code == .unauthenticated
      return .failure(isOwn ? status : RPCStatus(.unauthenticated, text(status)))
    } catch {
      return .failure(RPCStatus(.unauthenticated, text(error)))
    }
  }

  private static func text(_ error: any Error) -> String {
    "no credentials for the call: \(error)"
  }
}
