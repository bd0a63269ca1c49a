import TenancyWire

/// What a path of AuthZEN 1.0 stands for, and in which tenant.
struct AuthZENRoute: Hashable, Sendable {
  enum Endpoint: String, CaseIterable, Sendable {
    case evaluation = "access/v1/evaluation"
    case evaluations = "access/v1/evaluations"
    case subjectSearch = "access/v1/search/subject"
    case resourceSearch = "access/v1/search/resource"
    case actionSearch = "access/v1/search/action"
    /// What is served here, for those who find it out by themselves.
    case metadata = ".well-known/authzen-configuration"

    /// Its member of the metadata; nil: it is that itself.
    var metadataName: String? {
      switch self {
      case .evaluation: "access_evaluation_endpoint"
      case .evaluations: "access_evaluations_endpoint"
      case .subjectSearch: "search_subject_endpoint"
      case .resourceSearch: "search_resource_endpoint"
      case .actionSearch: "search_action_endpoint"
      case .metadata: nil
      }
    }

    /// The method that answers the same question: who may call that may ask here.
    var method: MethodIdentity {
      switch self {
      case .evaluation, .evaluations, .metadata: V1.Authorization.check.identity
      case .subjectSearch: V1.Authorization.listSubjects.identity
      case .resourceSearch: V1.Authorization.listResources.identity
      case .actionSearch: V1.Authorization.listPermissions.identity
      }
    }

    /// What it searches for; nil: it does not.
    var search: AuthZENSearch.Kind? {
      switch self {
      case .evaluation, .evaluations, .metadata: nil
      case .subjectSearch: .subject
      case .resourceSearch: .resource
      case .actionSearch: .action
      }
    }
  }

  private static let tenants = "/tenants/"

  let endpoint: Endpoint
  /// Its id or slug, as the path names it; nil: the caller's own.
  let tenant: String?

  /// Nil: it is no path of AuthZEN.
  init?(_ path: String) {
    let wellKnown = "/" + Endpoint.metadata.rawValue
    if path == wellKnown {
      (endpoint, tenant) = (.metadata, nil)
    } else if path.hasPrefix(wellKnown + Self.tenants) {
      let name = path.dropFirst(wellKnown.count + Self.tenants.count)
      guard Self.isName(name) else { return nil }
      (endpoint, tenant) = (.metadata, String(name))
    } else {
      var rest = path.dropFirst()
      var named: String?
      if path.hasPrefix(Self.tenants) {
        rest = path.dropFirst(Self.tenants.count)
        let name = rest.prefix { $0 != "/" }
        guard Self.isName(name) else { return nil }
        named = String(name)
        rest = rest.dropFirst(name.count + 1)
      }
      guard path.first == "/", let found = Endpoint(rawValue: String(rest)), found != .metadata
      else { return nil }
      (endpoint, tenant) = (found, named)
    }
  }

  /// Whether it may be an id or a slug; the gate says whether it is one.
  private static func isName(_ name: Substring) -> Bool {
    (1...TenantNames.maximumLength).contains(name.utf8.count)
      && name.utf8.allSatisfy {
        (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0)
          || $0 == UInt8(ascii: "-")
      }
  }
}
