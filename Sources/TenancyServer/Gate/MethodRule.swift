import Tenancy
import TenancyWire

/// A method's declared requirement, ready for the gate.
struct MethodRule: Sendable {
  /// Position among all methods of this API; nil for another's.
  let index: Int?
  let path: String
  let scope: Requirement.Scope
  /// Nil only where the scope asks for none.
  let permission: Permission?
  let permissionText: String
  /// The request field that names the tenant; empty where there is none.
  let tenantField: String
  /// Of the error for a request that says too much: selectors are refused as such.
  let excessReason: TenancyError.Reason

  static let all: [MethodRule] = TenancyService.served.enumerated().map { index, method in
    MethodRule(index: index, method)
  }

  private static let byPath = Dictionary(
    all.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })

  private init(index: Int?, _ method: MethodIdentity) {
    self.index = index
    path = method.path
    scope = method.requirement.scope
    permissionText = method.requirement.permission
    permission = Permission(parsing: permissionText)
    tenantField = method.requirement.tenantField ?? ""
    excessReason =
      path.hasPrefix("/\(V1.TenantResolver.name)/Resolve") ? .malformedSelector : .invalidField
    // The generator refuses such methods too; a table that says otherwise must not be served.
    precondition(
      permission != nil || scope == .ownSelf || scope == .anonymous,
      "\(path) declares no permission")
  }

  /// The rule of a method as it declares itself, of whichever API.
  static func of(_ method: MethodIdentity) -> MethodRule {
    byPath[method.path] ?? MethodRule(index: nil, method)
  }
}
