public import CTenancyProtobufC

/// A decoded message where it lies, in a call's arena: for hot methods, which read some of its fields and keep
/// none. Generated code has a property for each field that can be read so.
///
/// It can't outlive the closure that it is lent to, and nor can what it gives; the compiler sees to that. Strings
/// are bytes until they are checked (`TextView`). Confined to one call.
public struct MessageView<Message: WireMessage>: ~Escapable {
  /// For generated code.
  public let c: UnsafePointer<Message.CMessage>

  /// - Parameters:
  ///   - c: what libprotobuf-c has decoded.
  ///   - arena: holds it.
  @_lifetime(borrow arena)
  @inlinable
  public init(_ c: UnsafePointer<Message.CMessage>, in arena: borrowing Arena) { self.c = c }

  /// A message within `parent`.
  @_lifetime(copy parent)
  @inlinable
  public init<Parent: WireMessage>(
    _ c: UnsafePointer<Message.CMessage>, within parent: borrowing MessageView<Parent>
  ) {
    self.c = c
  }

  /// A message within `parent` that may be absent.
  @_lifetime(copy parent)
  @inlinable
  public init?<Parent: WireMessage>(
    present c: UnsafeMutablePointer<Message.CMessage>?,
    within parent: borrowing MessageView<Parent>
  ) {
    guard let c else { return nil }
    self.c = UnsafePointer(c)
  }

  /// The message as a value of its own, every string in it checked.
  @inlinable
  public func copy() throws(FieldViolation) -> Message { try Message(reading: c) }
}

extension WireMessage {
  /// Decodes a message and lends it.
  /// - Parameters:
  ///   - bytes: the encoding; may be gone when the closure runs.
  ///   - arena: must not be reset by the closure.
  /// - Throws: `WireError`, as what `failure` makes of it, for what is no encoding of the message; and what `body`
  ///   throws.
  @inline(__always)
  @inlinable
  public static func withView<Result, Failure: Error>(
    of bytes: UnsafeRawBufferPointer, arena: Arena, failure: (WireError) -> Failure,
    _ body: (borrowing MessageView<Self>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let c: UnsafePointer<CMessage>
    do throws(WireError) {
      c = try decode(bytes, arena: arena)
    } catch {
      throw failure(error)
    }
    return try body(MessageView(c, in: arena))
  }
}

/// A string field as it came: text only once it has been checked.
public struct TextView: ~Escapable {
  /// Of the field, in the proto.
  public let name: StaticString
  /// Not checked: to be compared with texts, or measured, and nothing else.
  public let bytes: RawSpan

  /// - Parameters:
  ///   - data: must be valid as long as the message.
  ///   - name: of the field.
  @_lifetime(copy message)
  @inlinable
  public init<Message: WireMessage>(
    _ data: ProtobufCBinaryData, _ name: StaticString,
    within message: borrowing MessageView<Message>
  ) {
    self.init(data, name, owner: message)
  }

  @_lifetime(copy owner)
  @inlinable
  init<Owner: ~Escapable>(
    _ data: ProtobufCBinaryData, _ name: StaticString, owner: borrowing Owner
  ) {
    self.name = name
    // The arena that the owner's lifetime is that of holds the bytes.
    bytes = _overrideLifetime(RawSpan(_unsafeBytes: data.bytes), copying: owner)
  }

  /// Whether there are no bytes, as where the field is absent.
  @inlinable public var isEmpty: Bool { bytes.isEmpty }

  /// The text's UTF-8 without NUL.
  /// - Throws: what is wrong with it, under the field's name.
  @inlinable public var text: RawSpan {
    @_lifetime(copy self)
    get throws(FieldViolation) {
      if let problem = bytes.withUnsafeBytes({ WireText.problem(in: $0) }) {
        throw FieldViolation(
          field: String(describing: name), description: problem.description)
      }
      return bytes
    }
  }
}

/// A repeated message field.
public struct MessageListView<Message: WireMessage>: ~Escapable {
  @usableFromInline let elements: WireRead.Messages<Message.CMessage>?
  /// How many there are.
  public let count: Int

  /// For generated code.
  @_lifetime(copy parent)
  @inlinable
  public init<Parent: WireMessage>(
    _ elements: WireRead.Messages<Message.CMessage>?, count: Int,
    within parent: borrowing MessageView<Parent>
  ) {
    self.elements = elements
    self.count = elements == nil ? 0 : count
  }

  /// - Parameter index: 0 to `count` - 1; others end the process.
  @inlinable
  public subscript(index: Int) -> MessageView<Message> {
    @_lifetime(copy self)
    get {
      guard index >= 0, index < count, let element = elements?[index] else {
        // In range: indices are our own; and libprotobuf-c puts no null into a list.
        preconditionFailure("no element \(index) of \(count)")
      }
      return MessageView(element, owner: self)
    }
  }
}

extension MessageView {
  @_lifetime(copy owner)
  @inlinable
  init<Owner: ~Escapable>(_ c: UnsafePointer<Message.CMessage>, owner: borrowing Owner) {
    self.c = c
  }
}

/// A `map<string, string>` field: its entries as they came, those with the same key too.
public struct TextMapView: ~Escapable {
  @usableFromInline let entries: UnsafeMutablePointer<UnsafeMutablePointer<ProtobufCMessage>?>?
  /// Of the field, in the proto.
  @usableFromInline let name: StaticString
  /// How many entries there are.
  public let count: Int

  /// For generated code.
  @_lifetime(copy parent)
  @inlinable
  public init<Entry, Parent: WireMessage>(
    _ entries: WireRead.Messages<Entry>?, count: Int, _ name: StaticString,
    within parent: borrowing MessageView<Parent>
  ) {
    // Every generated struct starts with a `ProtobufCMessage`.
    self.entries = UnsafeMutableRawPointer(entries)?.assumingMemoryBound(
      to: UnsafeMutablePointer<ProtobufCMessage>?.self)
    self.name = name
    self.count = entries == nil ? 0 : count
  }

  /// The key of an entry.
  /// - Parameter index: 0 to `count` - 1; others end the process.
  @_lifetime(copy self)
  public func key(_ index: Int) -> TextView { TextView(field(0, index), name, owner: self) }

  /// The value of an entry.
  /// - Parameter index: 0 to `count` - 1; others end the process.
  @_lifetime(copy self)
  public func value(_ index: Int) -> TextView { TextView(field(1, index), name, owner: self) }

  /// The entry types of two maps are two C structs: where the fields are is what their descriptor tells.
  private func field(_ field: Int, _ index: Int) -> ProtobufCBinaryData {
    guard index >= 0, index < count, let entry = entries?[index],
      let descriptor = entry.pointee.descriptor, field < descriptor.pointee.n_fields
    else {
      // In range: indices are our own; and libprotobuf-c puts no null into a map.
      preconditionFailure("no entry \(index) of \(count)")
    }
    return UnsafeRawPointer(entry).load(
      fromByteOffset: Int(descriptor.pointee.fields[field].offset), as: ProtobufCBinaryData.self)
  }
}
