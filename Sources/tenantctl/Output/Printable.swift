/// Text from elsewhere that goes to a terminal.
enum Printable {
  /// `text` with control and formatting characters spelled out: they could move the cursor, change
  /// the title or turn the direction of writing.
  static func text(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default:
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
