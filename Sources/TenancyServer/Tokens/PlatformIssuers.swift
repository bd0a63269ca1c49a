public import Tenancy
import Synchronization

/// An issuer whose tokens are accepted for every tenant that does not object, as the server's configuration says.
public struct PlatformIssuer: Sendable {
  /// How a token of it names its tenant.
  public enum Naming: Sendable, Equatable {
    /// All are of one tenant, of this id or slug.
    case tenant(String)
    /// The text of a claim is the tenant's id or slug; where there are names for its values, one of these.
    case claim(String, names: [String: String])
  }

  /// What its tokens are judged by, and its keys.
  public var issuer: ExternalIssuer
  /// How a token of it names its tenant.
  public let naming: Naming

  /// - Parameter issuer: as `AuthenticationRules` has it.
  public init(_ issuer: ExternalIssuer, naming: Naming) {
    self.issuer = issuer
    self.naming = naming
  }
}

/// The issuers whose tokens are accepted for all tenants. Their keys can be replaced while calls are judged by them.
/// Thread-safe.
public final class PlatformIssuers: Sendable {
  private let issuers: Mutex<[String: PlatformIssuer]>
  /// The keys of issuers, of tenants' as well, that are fetched.
  public let fetched: FetchedKeySets
  /// What subjects of theirs begin with.
  let prefixes: [String]
  let isEmpty: Bool

  /// - Parameters:
  ///   - issuers: of which no two have an `iss` or a prefix in common.
  ///   - fetched: keys that are fetched; by default only the platform's may be.
  public init(_ issuers: [PlatformIssuer] = [], fetched: FetchedKeySets = FetchedKeySets()) {
    self.fetched = fetched
    prefixes = issuers.map(\.issuer.subjectPrefix)
    isEmpty = issuers.isEmpty
    self.issuers = Mutex(
      Dictionary(issuers.map { ($0.issuer.issuer, $0) }, uniquingKeysWith: { first, _ in first }))
  }

  /// - Parameter issuer: `iss`; it is ASCII where it is one of these, so that equal texts have equal bytes.
  func find(_ issuer: String) -> PlatformIssuer? {
    isEmpty ? nil : issuers.withLock { $0[issuer] }
  }

  /// Whether keys of one of them are fetched.
  public var areFetched: Bool {
    issuers.withLock { $0.values.contains { $0.issuer.published != nil } }
  }

  /// Has the keys fetched that are, before somebody waits for them.
  public func prepare() {
    for issuer in issuers.withLock({ $0.values.map(\.issuer) }) {
      prepare([issuer], owner: nil)
    }
  }

  /// The same for issuers of a tenant.
  func prepare(_ issuers: [ExternalIssuer], owner: TenantID?) {
    for issuer in issuers where issuer.isEnabled {
      guard let source = KeySource(issuer, owner: owner) else { continue }
      _ = fetched.keys(source, configured: issuers)
    }
  }

  /// From now on tokens are good that these keys have signed, and no others. Streams are not looked at: see
  /// `TenancyService.reviewStreams`.
  /// - Parameter keys: by the `id` of the issuer; those of others stay.
  public func replaceKeys(_ keys: [String: [ExternalKey]]) {
    issuers.withLock { issuers in
      for (name, issuer) in issuers {
        if let new = keys[issuer.issuer.id] { issuers[name]?.issuer.keys = new }
      }
    }
  }
}
