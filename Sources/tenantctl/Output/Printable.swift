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

  /// JSON text, the same for who reads JSON, with such characters escaped: they stand in strings alone, but
  /// for newlines.
  static func json(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control where scalar == "\n":
        result += "\n"
      case .control, .format, .lineSeparator, .paragraphSeparator:
        for unit in String(scalar).utf16 {
          let digits = String(unit, radix: 16)
          result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
      default:
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
