public import CTenancyProtobufC
public import TenancyRPC

/// Who may call a method: its `tenancy.v1.authorization` option.
public struct Requirement: Hashable, Sendable {
  /// Where the permission must be held.
  public enum Scope: Hashable, Sendable {
    /// Platform identities only.
    case platform
    /// Platform identities, and identities of the tenant that the request is about.
    case tenant
    /// Any authenticated peer, about itself.
    case ownSelf
    /// Everyone.
    case anonymous
  }

  /// `resource:action`; empty only where the scope is `ownSelf` or `anonymous`.
  public let permission: String
  /// Whose identities may have the permission.
  public let scope: Scope
  /// The request field that names the tenant, such as `tenant.name`.
  public let tenantField: String?

  /// - Parameter tenantField: of the request, such as `tenant.name`; nil: it names no tenant.
  public init(permission: String, scope: Scope, tenantField: String? = nil) {
    self.permission = permission
    self.scope = scope
    self.tenantField = tenantField
  }
}

/// A method without its types, for tables of methods.
public struct MethodIdentity: Hashable, Sendable {
  /// `/package.Service/Method`.
  public let path: String
  /// Who may call it.
  public let requirement: Requirement

  /// - Parameter path: `/package.Service/Method`.
  public init(path: String, requirement: Requirement) {
    self.path = path
    self.requirement = requirement
  }
}

/// A method, and who may call it for which tenant.
public struct MethodSpec<Request: WireMessage, Response: WireMessage>: Sendable {
  /// What the runtime and the clients know of it.
  public let method: RPCMethod<Request, Response>
  /// Who may call it.
  public let requirement: Requirement
  /// Finds the tenant's name in a decoded request: empty when absent, not yet checked as text.
  public let tenantField: (@Sendable (UnsafePointer<Request.CMessage>) -> ProtobufCBinaryData)?

  /// The tenant's name in a request that is decoded, not yet checked as text: empty where it is absent, nil where
  /// requests name none.
  @_lifetime(copy request)
  @inlinable
  public func tenantName(in request: borrowing MessageView<Request>) -> RawSpan? {
    guard let tenantField else { return nil }
    return TextView(tenantField(request.c), "", within: request).bytes
  }

  /// `/package.Service/Method`.
  public var path: String { method.path }
  /// The method without its types.
  public var identity: MethodIdentity { MethodIdentity(path: path, requirement: requirement) }

  /// - Parameter tenantField: finds the tenant's name in a decoded request; nil: it names none.
  public init(
    _ method: RPCMethod<Request, Response>, requirement: Requirement,
    tenantField: (@Sendable (UnsafePointer<Request.CMessage>) -> ProtobufCBinaryData)?
  ) {
    self.method = method
    self.requirement = requirement
    self.tenantField = tenantField
  }
}

/// A service's methods.
public protocol ServiceSpec {
  /// `package.Service`.
  static var name: String { get }
  /// In the order of the proto.
  static var methods: [MethodIdentity] { get }
}
