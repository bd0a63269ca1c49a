/// The values of one request's attributes. Filled once, and read by many conditions.
public struct ConditionInput: Sendable {
  let identity: UInt64
  private(set) var values: [ConditionValue?]
  /// Attributes whose value is not of their type: conditions that read them fail.
  private(set) var misfits: Set<Int> = []
  private let declared: [ConditionAttributes.Attribute]

  /// Values for attributes of this declaration, all absent.
  public init(for attributes: ConditionAttributes) {
    identity = attributes.identity
    declared = attributes.attributes
    values = Array(repeating: nil, count: declared.count)
  }

  /// The value of an attribute; nil if it is absent.
  ///
  /// A value that is not of the declared type makes conditions fail that read the attribute, also
  /// those that only ask whether it is there. A place of another declaration is ignored.
  public subscript(slot: ConditionAttributes.Slot) -> ConditionValue? {
    get { values.indices.contains(slot.index) ? values[slot.index] : nil }
    set {
      guard values.indices.contains(slot.index) else { return }
      values[slot.index] = newValue
      let fits = newValue.map { ConditionInput.fits($0, declared[slot.index].type) } ?? true
      if !fits {
        misfits.insert(slot.index)
      } else if !misfits.isEmpty {
        misfits.remove(slot.index)
      }
    }
  }

  /// Makes all absent, and keeps the memory for the next request.
  public mutating func removeAll() {
    for index in values.indices { values[index] = nil }
    misfits.removeAll()
  }

  /// As deep as the type is declared.
  private static func fits(_ value: ConditionValue, _ type: ConditionType) -> Bool {
    switch (type, value) {
    case (.dyn, _): true
    case (.list(let element), .list(let elements)):
      element == .dyn || elements.allSatisfy { fits($0, element) }
    case (.map(let key, let element), .map(let map)):
      // What has names alone for keys need not be gone through.
      ((key == .dyn || key == .string && map.hasNames) && element == .dyn)
        || map.entries.allSatisfy { fits($0.key, key) && fits($0.value, element) }
    case (.list, _), (.map, _): false
    default: ConditionType(value) == type
    }
  }
}
