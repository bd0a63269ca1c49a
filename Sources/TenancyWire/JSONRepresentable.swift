public import Tenancy
public import TenancyRPC

/// A message that has a JSON form.
public protocol JSONRepresentable {
  /// The proto3 JSON mapping.
  func json() -> JSONValue
}

extension WireEnum {
  /// The name, or the number of a value that is not known, as the proto3 JSON mapping has it.
  public func json() -> JSONValue {
    Self.names[rawValue].map { .string($0) } ?? .number(Double(rawValue))
  }
}
