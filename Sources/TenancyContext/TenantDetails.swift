public import Tenancy

/// Which tenant, as far as it is told wherever work is done for it.
public struct TenantDetails: Hashable, Sendable {
  /// Never changes, and is never another's.
  public let id: TenantID
  /// Its name in URLs; may change. Empty where it is not known.
  public let slug: String
  /// For people; may be empty.
  public let displayName: String
  /// Counts changes of the tenant's life that end what was begun before, such as a suspension: what was kept of the
  /// tenant at a smaller one is not used any more.
  public let epoch: UInt64

  /// - Parameters:
  ///   - slug: empty where it is not known.
  ///   - epoch: 0 where it is not known.
  public init(id: TenantID, slug: String = "", displayName: String = "", epoch: UInt64 = 0) {
    self.id = id
    self.slug = slug
    self.displayName = displayName
    self.epoch = epoch
  }
}

/// May this subject do this in this tenant?
public struct TenantQuestion: Hashable, Sendable {
  /// In which tenant.
  public let tenant: TenantID
  /// Who: a SPIFFE ID, or another name of at most 256 bytes.
  public let subject: String
  /// `resource:action`, without wildcards.
  public let permission: String
  /// Which of the permission's resources; empty: all of them.
  public let resource: String

  /// Asks nobody.
  public init(tenant: TenantID, subject: String, permission: String, resource: String = "") {
    self.tenant = tenant
    self.subject = subject
    self.permission = permission
    self.resource = resource
  }
}

/// Who tells what subjects may: a server of the API, or the engine in the process.
public protocol TenantAuthorizer: Sendable {
  /// - Throws: where it can't tell; nobody takes that for a yes.
  func isAllowed(_ question: TenantQuestion) async throws -> Bool
}

/// Why there is no context, or not the one that was asked for.
public enum TenantContextError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Where the context was asked for.
  public struct Place: Hashable, Sendable, CustomStringConvertible {
    /// `{module}/{file}`.
    public let file: String
    /// From 1 on.
    public let line: UInt
    public var description: String { "\(file):\(line)" }

    /// A place in a program's source.
    public init(file: String, line: UInt) {
      self.file = file
      self.line = line
    }
  }

  /// The current task has no context: it is detached, a callback, or was begun outside of every `with`.
  case missing(at: Place)
  /// A unit of work is at one tenant until it ends; nil: none was asked for.
  case locked(to: TenantID, asked: TenantID?)
  /// The subject lacks the permission.
  case denied(permission: String)

  public var description: String {
    switch self {
    case .missing(let place):
      "\(place): there is no tenant here: a detached task and a callback have none, unless TenantContext.carrying made them"
    case .locked(let tenant, let asked):
      "a unit of work of the tenant \(tenant) can't go on for \(asked.map { "the tenant \($0)" } ?? "none")"
    case .denied(let permission): "the subject lacks the permission \(permission)"
    }
  }
}
