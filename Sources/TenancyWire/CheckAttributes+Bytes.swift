public import TenancyRPC

extension MessageView where Message == V1.CheckAttributes {
  /// Bytes of all attributes, as they are encoded.
  public var byteCount: Int {
    let fields = [
      (c.pointee.subject, c.pointee.n_subject), (c.pointee.resource, c.pointee.n_resource),
      (c.pointee.context, c.pointee.n_context),
    ]
    return fields.reduce(0) { sum, field in
      guard let pieces = field.0 else { return sum }
      return (0..<field.1).reduce(sum) { $0 + pieces[$1].len }
    }
  }
}
