import Tenancy

/// What callers of one kind may do by themselves, and which of the API's methods that are: worked out once, for there
/// are many connections and tokens. Immutable.
final class MethodGrants: Sendable {
  static let none = MethodGrants([])

  /// All of it.
  let permissions: PermissionSet
  /// The same for the API's methods, by `MethodRule.index`.
  let methods: [Bool]

  init(_ granted: [Permission]) {
    let permissions = PermissionSet(granted)
    self.permissions = permissions
    methods = MethodRule.all.map { rule in
      rule.permission.map { permissions.grants($0) } ?? false
    }
  }

  /// The methods that a token may be used for as well.
  func methods(allowedBy token: TokenGrant) -> [Bool] {
    guard token.permissions != nil else { return methods }
    return zip(methods, MethodRule.all).map { isGranted, rule in
      isGranted && (rule.permission.map { token.allows($0) } ?? false)
    }
  }
}
