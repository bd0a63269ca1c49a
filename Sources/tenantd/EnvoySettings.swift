import Tenancy
import TenancyServer

extension EnvoyTerms {
  /// Rules that are looked at one after the other, at most.
  static let maximumRoutes = 1_000

  init(_ settings: inout SettingsReader) throws {
    let audience = try settings.optionalString("audience")
    if let audience, !TokenTerms.isText(audience) {
      throw settings.error("audience: 1 to \(TokenTerms.maximumTextBytes) bytes of visible ASCII")
    }
    let routes = try settings.list("routes") { route in
      let methods = try route.strings("methods") ?? []
      let path = try route.string("path")
      let permission = try route.optionalString("permission")
      let isAnonymous = try route.boolean("anonymous") ?? false
      let isTenants = try route.boolean("tenants") ?? false
      let need: PlatformRoute.Need
      switch (permission, isAnonymous, isTenants) {
      case (let permission?, false, false) where !permission.isEmpty: need = .permission(permission)
      case (nil, true, false): need = .nothing
      case (nil, false, true): need = .tenantsRule
      default: throw route.error("give one of permission, anonymous: true and tenants: true")
      }
      return try route.checked { () throws(TenancyError) in
        try PlatformRoute(methods: methods, path: path, need: need, field: "route")
      }
    }
    guard routes.count <= Self.maximumRoutes else {
      throw settings.error("routes: at most \(Self.maximumRoutes)")
    }
    self.init(audience: audience, routes: routes)
  }
}
