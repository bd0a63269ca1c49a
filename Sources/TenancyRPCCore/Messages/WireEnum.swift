/// An open proto3 enum: a number that this version does not know is kept.
public protocol WireEnum: RawRepresentable, Hashable, Sendable, CustomStringConvertible
where RawValue == Int32 {
  /// Any number: one that has no name stays what it is.
  init(rawValue: Int32)

  /// The proto names of the known numbers.
  static var names: [Int32: String] { get }
}

extension WireEnum {
  /// `TENANT_STATE_ACTIVE`, or the number of a value that is not known.
  public var protoName: String { Self.names[rawValue] ?? String(rawValue) }

  public var description: String { protoName }
}
