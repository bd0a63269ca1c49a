internal import Tenancy
public import TenancyRPC
internal import TenancyTokens
public import TenancyWire

/// Keeps a token that is good, for `authorization: Bearer …` of calls. Thread-safe.
///
/// The token is got with the first call that needs it, by one request however many calls wait for it. At two thirds of
/// its life it is renewed in the background; while that fails, calls go on with the old one as long as it lives.
/// Calls that find none end with UNAUTHENTICATED or UNAVAILABLE and are not sent.
///
/// Hand it to calls as `TokenInterceptor`, as `RPCCallOptions.credentials`, or as a channel's
/// `RPCChannel.Configuration.credentials`.
public final class TokenSource: MetadataProvider {
  /// Gets a new token. It should end when its task is cancelled, which it is after the source's patience.
  public typealias Fetch = @Sendable () async throws -> BearerToken
  /// How long to wait for a token, unless it is said otherwise: 10 seconds.
  public static let defaultPatience = Duration.seconds(10)

  private let provider: TokenProvider

  /// Gets tokens by `Tokens/ExchangeToken`: for what the channel's certificate proves, or, with `subjectToken`, for a
  /// token.
  ///
  /// - Parameters:
  ///   - channel: to the Tenancy server. Must not carry this source's token itself.
  ///   - request: whom the tokens are for, and what they may be used for.
  ///   - patience: how long one exchange may take.
  public convenience init(
    exchangingBy channel: any CallChannel,
    _ request: V1.ExchangeTokenRequest = V1.ExchangeTokenRequest(),
    patience: Duration = defaultPatience
  ) {
    self.init(exchangingBy: channel, request, patience: patience, now: { .now })
  }

  /// Gets tokens from anywhere.
  ///
  /// - Parameters:
  ///   - patience: how long one `fetch` may take.
  ///   - fetch: not called again while it runs.
  public convenience init(patience: Duration = defaultPatience, fetch: @escaping Fetch) {
    self.init(patience: patience, now: { .now }, fetch: fetch)
  }

  package convenience init(
    exchangingBy channel: any CallChannel, _ request: V1.ExchangeTokenRequest, patience: Duration,
    now: @escaping @Sendable () -> ContinuousClock.Instant
  ) {
    let tokens = TokensClient(channel)
    self.init(patience: patience, now: now) {
      let asked = now()
      let made = try await tokens.exchangeToken(
        request, options: RPCCallOptions(timeout: patience))
      return try BearerToken(issued: made.token, asked: asked)
    }
  }

  package init(
    patience: Duration, now: @escaping @Sendable () -> ContinuousClock.Instant,
    fetch: @escaping Fetch
  ) {
    // All tokens of ours say when they are renewed.
    provider = TokenProvider(refreshAhead: .zero, now: now) {
      do {
        return try await Self.bounded(patience, fetch)
      } catch {
        throw TokenSourceError(error)
      }
    }
  }

  /// A token that is good now.
  public func token() async throws(TokenSourceError) -> BearerToken {
    do {
      return try await provider.token()
    } catch {
      throw TokenSourceError(error)
    }
  }

  public func current(for path: String) -> RPCMetadata? { provider.current(for: path) }

  public func metadata(for path: String) async throws -> RPCMetadata {
    do {
      return try await provider.metadata(for: path)
    } catch {
      throw TokenSourceError(error).status
    }
  }

  /// Gets another token for the next call, unless this one is only a few seconds old: for servers that have refused it
  /// although it is in time, as after a revocation. `TokenInterceptor` does so by itself.
  public func discard() { provider.discard() }

  private static func bounded(
    _ patience: Duration, _ fetch: @escaping Fetch
  ) async throws -> BearerToken {
    try await withThrowingTaskGroup(of: BearerToken.self) { group in
      group.addTask { try await fetch() }
      group.addTask {
        try await Task.sleep(for: patience)
        throw RPCStatus(.deadlineExceeded, "no token in \(patience)")
      }
      defer { group.cancelAll() }
      guard let first = try await group.next() else { throw CancellationError() }
      return first
    }
  }
}

/// Why there is no token.
public struct TokenSourceError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What kind of failure it is. Stable; more may come.
  public struct Code: Sendable, Hashable, CustomStringConvertible {
    public let description: String

    /// Whoever gives tokens could not be reached, or not in time: later it may work.
    public static let unavailable = Code(description: "UNAVAILABLE")
    /// Whoever gives tokens gave none.
    public static let refused = Code(description: "REFUSED")
    /// What was given is no token that is good now.
    public static let unusable = Code(description: "UNUSABLE")
    /// Whoever waited for it was cancelled.
    public static let cancelled = Code(description: "CANCELLED")
  }

  /// What kind of failure it is.
  public let code: Code
  /// What calls end with that have no token for this reason. Has the details of the server's answer, if there was
  /// one.
  public let status: RPCStatus

  public var description: String { "\(code): \(status.message)" }

  init(_ code: Code, _ status: RPCStatus) {
    self.code = code
    self.status = status
  }

  init(_ error: any Error) {
    switch error {
    case let error as TokenSourceError: self = error
    case let status as RPCStatus:
      switch status.code {
      case .deadlineExceeded, .unavailable, .resourceExhausted, .aborted:
        self.init(
          .unavailable, RPCStatus(.unavailable, status.message, details: status.details))
      default:
        self.init(
          .refused, RPCStatus(.unauthenticated, status.message, details: status.details))
      }
    case is CancellationError: self.init(.cancelled, RPCStatus(.cancelled, "cancelled"))
    default: self.init(.refused, RPCStatus(.unauthenticated, "no token: \(error)"))
    }
  }
}

extension BearerToken {
  /// A second: `iat` and `exp` are whole ones.
  private static let margin = Duration.seconds(1)

  /// A token that a Tenancy server has issued. How long it lives is reckoned from when it was asked for: the clocks of
  /// server and client need not agree.
  init(issued token: String, asked: ContinuousClock.Instant) throws(TokenSourceError) {
    let claims: TokenClaims
    do throws(TokenRefusal) {
      claims = try ClaimedToken(parsing: Array(token.utf8)).claims
    } catch {
      throw TokenSourceError(
        .unusable, RPCStatus(.unauthenticated, "what was given is no token: \(error)"))
    }
    // Neither is negative: that can't overflow.
    let life = Duration.nanoseconds(claims.expires.nanoseconds - claims.issuedAt.nanoseconds)
    self.init(
      token, expires: asked + max(life - Self.margin, life / 2), renewal: asked + life * 2 / 3)
  }
}

/// Puts a source's token on every call that has no credentials of its own in its options.
public struct TokenInterceptor: RPCClientInterceptor {
  private let source: TokenSource

  /// - Parameter source: may serve several channels.
  public init(_ source: TokenSource) { self.source = source }

  public nonisolated(nonsending) func intercept<Request, Response>(
    _ method: RPCMethod<Request, Response>, _ request: Request, options: RPCCallOptions,
    next: (_ request: Request, _ options: RPCCallOptions) async throws -> Response
  ) async throws -> Response {
    try await carrying(options) { try await next(request, $0) }
  }

  public nonisolated(nonsending) func intercept<Request, Response, Answer>(
    streaming method: RPCMethod<Request, Response>, options: RPCCallOptions,
    next: (_ options: RPCCallOptions) async throws -> Answer
  ) async throws -> Answer {
    try await carrying(options, next)
  }

  private nonisolated(nonsending) func carrying<Answer>(
    _ options: RPCCallOptions, _ call: (RPCCallOptions) async throws -> Answer
  ) async throws -> Answer {
    guard options.credentials == nil else { return try await call(options) }
    var options = options
    options.credentials = source
    do {
      return try await call(options)
    } catch let status as RPCStatus {
      let isRefused =
        status.code == .unauthenticated && status.errorInfo?.reason.hasPrefix("TOKEN_") == true
      if isRefused { source.discard() }
      throw status
    }
  }
}

extension TokensClient {
  /// Exchanges the token of a caller of ours for one for the next service: whose calls then are the caller's, made by
  /// us. It is bound to the certificate of this client's channel, which calls of the next service have to use.
  ///
  /// - Parameters:
  ///   - callerToken: without `Bearer`.
  ///   - audience: what the next service is called in `aud`.
  ///   - permissions: what the next service may need of what the caller may; empty: all of it.
  ///   - options: of the exchange.
  /// - Returns: credentials for calls (`RPCCallOptions.credentials`), good for no longer than the caller's token.
  public nonisolated(nonsending) func forwarding(
    _ callerToken: String, audience: String, permissions: [String] = [],
    options: RPCCallOptions = RPCCallOptions()
  ) async throws(TokenSourceError) -> BearerToken {
    let asked = ContinuousClock.now
    do {
      let made = try await exchangeToken(
        V1.ExchangeTokenRequest(
          subjectToken: callerToken, audiences: [audience], permissions: permissions),
        options: options)
      return try BearerToken(issued: made.token, asked: asked)
    } catch {
      throw TokenSourceError(error)
    }
  }
}
