/// What an expression may cost, at compile time and at evaluation.
///
/// One unit of cost is one step: a node that is evaluated, an element that is looked at, or 16 bytes
/// of text that are compared, searched or copied.
public struct ConditionLimits: Sendable, Hashable {
  /// Bytes of source text.
  public var maximumSourceBytes = 8_192
  /// Nodes of the parsed expression.
  public var maximumNodes = 2_048
  /// Nesting of the parsed expression, and of parentheses. Never above ``deepest``.
  public var maximumDepth = 64
  /// Macros within macros.
  public var maximumMacroDepth = 4
  /// Units that an evaluation can take in the worst case, with attributes of their declared sizes.
  public var maximumCost: UInt64 = 100_000
  /// Units that an evaluation may take, whatever the attributes turn out to be.
  public var fuel: Int64 = 100_000

  /// The deepest nesting that any limits can allow: the stack of a thread is finite. It takes less
  /// than 192 KiB of it, and less than 1 MiB if the code is not optimized.
  public static let deepest = 64
  /// Lists and maps within one another, in a value that an expression makes or compares.
  static let deepestValue: UInt64 = 32

  /// The limits that are good for policies which people write.
  public init() {}
}
