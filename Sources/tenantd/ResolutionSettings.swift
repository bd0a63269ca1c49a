import Logging
import Tenancy

extension ResolutionRules {
  /// Says what is less strict than it could be.
  func warn(_ logger: Logger) {
    guard mode == .priority else { return }
    logger.warning(
      "resolution.mode is priority: selectors that name different tenants are not refused, the first counts",
      metadata: ["order": "\(order.map(\.name).joined(separator: " "))"])
  }

  init(_ settings: inout SettingsReader) throws {
    self.init()
    if let name = try settings.optionalString("query_parameter") {
      guard SelectorParsing.isParameterName(name) else {
        throw settings.error(
          "query_parameter: \"\(name)\" is not letters, digits and any of -._~, which need no escape"
        )
      }
      queryParameter = name
      order.append(.query)
    }
    if let names = try settings.strings("order") {
      order = try Self.order(names, settings, hasQuery: queryParameter != nil)
    }
    if let name = try settings.optionalString("mode") {
      guard let mode = ResolutionMode(rawValue: name) else {
        throw settings.error("mode: one of \(ResolutionMode.allCases.map(\.rawValue))")
      }
      self.mode = mode
    }
    try readPaths(&settings)
    baseDomains = try settings.strings("base_domains")?.map { $0.lowercased() } ?? []
    for domain in baseDomains
    where !domain.split(separator: ".", omittingEmptySubsequences: false)
      .allSatisfy({ Slug(parsing: String($0)) != nil })
    {
      throw settings.error("base_domains: \"\(domain)\" is not a domain such as example.com")
    }
    ignoredNames = try settings.entries("ignored_names")?.map { $0.lowercased() } ?? []
    for name in ignoredNames where Slug(parsing: name) == nil {
      throw settings.error("ignored_names: \"\(name)\" is not a label such as www")
    }
    try readHeaders(&settings)
    if let name = try settings.optionalString("environment_variable") {
      guard !name.contains("="), !name.utf8.contains(0) else {
        throw settings.error("environment_variable: \"\(name)\" is not the name of a variable")
      }
      environmentVariable = name
    }
    defaultTenant = try settings.optionalString("default_tenant")
    if let name = defaultTenant, Slug(parsing: name) == nil, TenantID(parsing: name) == nil {
      throw settings.error("default_tenant: \"\(name)\" is neither a tenant's id nor a slug")
    }
  }

  private static func order(
    _ names: [String], _ settings: SettingsReader, hasQuery: Bool
  ) throws -> [ResolutionStrategy] {
    let order = try names.map { name in
      guard let strategy = ResolutionStrategy.selectors.first(where: { $0.name == name }) else {
        throw settings.error("order: path, subdomain, header, query and environment")
      }
      return strategy
    }
    guard Set(order).count == order.count else {
      throw settings.error("order: each at most once")
    }
    guard hasQuery || !order.contains(.query) else {
      throw settings.error("order: query needs query_parameter")
    }
    return order
  }

  private mutating func readPaths(_ settings: inout SettingsReader) throws {
    let prefix = try settings.optionalString("path_prefix")
    let patterns = try settings.entries("path_patterns")
    guard prefix == nil || patterns == nil else {
      throw settings.error("path_prefix and path_patterns: give one of them")
    }
    if let prefix {
      guard prefix.hasPrefix("/"), prefix.hasSuffix("/") else {
        throw settings.error("path_prefix: must begin and end with a slash")
      }
      guard let pattern = PathPattern(parsing: prefix + PathPattern.placeholder) else {
        throw settings.error("path_prefix: no path that is accepted begins with \"\(prefix)\"")
      }
      pathPatterns = [pattern]
    }
    pathPatterns =
      try patterns?.map { text in
        guard let pattern = PathPattern(parsing: text) else {
          throw settings.error(
            "path_patterns: \"\(text)\" is not one such as /tenants/{tenantId} or /v1/*/{tenantId}/x"
          )
        }
        return pattern
      } ?? pathPatterns
    excludedPaths =
      try settings.entries("excluded_paths")?.map { text in
        let path = text.hasSuffix("/") ? String(text.dropLast()) : text
        guard SelectorParsing.isClearPath(path) else {
          throw settings.error("excluded_paths: \"\(text)\" is not a path such as /health")
        }
        return path
      } ?? []
  }

  private mutating func readHeaders(_ settings: inout SettingsReader) throws {
    let one = try settings.optionalString("header")
    let several = try settings.entries("headers")
    guard one == nil || several == nil else {
      throw settings.error("header and headers: give one of them")
    }
    let place = one == nil ? "headers" : "header"
    headerNames =
      try (one.map { [$0] } ?? several)?.map { name in
        guard !name.isEmpty, name.utf8.allSatisfy(Self.isHeaderByte) else {
          throw settings.error("\(place): \"\(name)\" is not the name of a header")
        }
        return name.lowercased()
      } ?? headerNames
    guard Set(headerNames).count == headerNames.count else {
      throw settings.error("headers: each at most once")
    }
  }

  /// Those of a token (RFC 9110 §5.6.2).
  private static func isHeaderByte(_ byte: UInt8) -> Bool {
    byte > 0x20 && byte < 0x7F && !"\"(),/:;<=>?@[\\]{}".utf8.contains(byte)
  }
}

extension SettingsReader {
  /// A list of which every entry may be looked at for every call: not empty, and not long.
  fileprivate mutating func entries(_ name: String) throws -> [String]? {
    guard let entries = try strings(name) else { return nil }
    guard (1...ResolutionRules.maximumEntries).contains(entries.count) else {
      throw error("\(name): 1 to \(ResolutionRules.maximumEntries) are expected")
    }
    return entries
  }
}
