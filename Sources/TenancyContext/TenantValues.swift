public import Tenancy

/// A tenant's settings and feature flags, as they are in effect.
///
/// Keys that are canonically equivalent are one key, as everywhere in Swift.
public struct TenantValues: Hashable, Sendable {
  private let settings: [String: JSONValue]
  private let flags: Set<String>

  /// - Parameters:
  ///   - settings: by their names.
  ///   - flags: those that are on.
  public init(settings: [String: JSONValue] = [:], flags: Set<String> = []) {
    self.settings = settings
    self.flags = flags
  }

  /// A setting's value; its default where the tenant has none, or one of another type.
  public func value<Value>(_ setting: TenantSetting<Value>) -> Value {
    settings[setting.name].flatMap { setting.read($0) } ?? setting.fallback
  }

  /// A setting as it is; nil: there is none.
  public subscript(_ name: String) -> JSONValue? { settings[name] }

  /// Whether a flag is on; false for one that is not known.
  public func isEnabled(_ flag: String) -> Bool { flags.contains(flag) }
}

/// A setting that a program knows: its name, its type, and what it is unless a tenant has it otherwise.
///
///     extension TenantSetting where Value == Int {
///       static var retentionDays: Self { TenantSetting("retention_days", default: 30) }
///     }
///     let days = try TenantContext.require().value(.retentionDays)
public struct TenantSetting<Value: Sendable>: Sendable {
  /// As it is declared on the server.
  public let name: String
  /// Where the tenant has none, or one that can't be read.
  public let fallback: Value
  let read: @Sendable (JSONValue) -> Value?

  /// - Parameter read: nil for what is none of its values.
  public init(
    _ name: String, default fallback: Value, read: @escaping @Sendable (JSONValue) -> Value?
  ) {
    self.name = name
    self.fallback = fallback
    self.read = read
  }
}

extension TenantSetting where Value == String {
  /// A text.
  public init(_ name: String, default fallback: String) {
    self.init(name, default: fallback) { if case .string(let text) = $0 { text } else { nil } }
  }
}

extension TenantSetting where Value == Bool {
  /// Yes or no.
  public init(_ name: String, default fallback: Bool) {
    self.init(name, default: fallback) { if case .bool(let value) = $0 { value } else { nil } }
  }
}

extension TenantSetting where Value == Double {
  /// A number.
  public init(_ name: String, default fallback: Double) {
    self.init(name, default: fallback) { if case .number(let value) = $0 { value } else { nil } }
  }
}

extension TenantSetting where Value == Int {
  /// A whole number; one with a fraction, or that an `Int` can't be, is none.
  public init(_ name: String, default fallback: Int) {
    self.init(name, default: fallback) {
      if case .number(let value) = $0 { Int(exactly: value) } else { nil }
    }
  }
}

extension TenantSetting where Value == [String] {
  /// Texts; one element of another kind makes all of it none.
  public init(_ name: String, default fallback: [String]) {
    self.init(name, default: fallback) { value in
      guard case .array(let elements) = value else { return nil }
      var texts: [String] = []
      for element in elements {
        guard case .string(let text) = element else { return nil }
        texts.append(text)
      }
      return texts
    }
  }
}
