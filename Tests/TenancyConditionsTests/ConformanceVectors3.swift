/// Facts of cel-spec's conformance data: an expression, and the value that it has.
let conformanceVectors3 = #"""
  ''' \U00088888 ''' => " 򈢈 "
  """ \U00088888 """ => " 򈢈 "
  ' 򈢈 ' => " 򈢈 "
  " 򈢈 " => " 򈢈 "
  ''' 򈢈 ''' => " 򈢈 "
  """ 򈢈 """ => " 򈢈 "
  b'hello' => b"\x68\x65\x6c\x6c\x6f"
  b"hello" => b"\x68\x65\x6c\x6c\x6f"
  b'''hello''' => b"\x68\x65\x6c\x6c\x6f"
  b"""hello""" => b"\x68\x65\x6c\x6c\x6f"
  b' \\ \? \" \' \` ' => b"\x20\x5c\x20\x3f\x20\x22\x20\x27\x20\x60\x20"
  b" \\ \? \" \' \` " => b"\x20\x5c\x20\x3f\x20\x22\x20\x27\x20\x60\x20"
  b''' \\ \? \" \' \` ''' => b"\x20\x5c\x20\x3f\x20\x22\x20\x27\x20\x60\x20"
  b""" \\ \? \" \' \` """ => b"\x20\x5c\x20\x3f\x20\x22\x20\x27\x20\x60\x20"
  b''' ? " ' ` ''' => b"\x20\x3f\x20\x22\x20\x27\x20\x60\x20"
  b""" ? " ' ` """ => b"\x20\x3f\x20\x22\x20\x27\x20\x60\x20"
  b' \a \b \f \t \v ' => b"\x20\x07\x20\x08\x20\x0c\x20\x09\x20\x0b\x20"
  b" \a \b \f \t \v " => b"\x20\x07\x20\x08\x20\x0c\x20\x09\x20\x0b\x20"
  b''' \a \b \f \t \v ''' => b"\x20\x07\x20\x08\x20\x0c\x20\x09\x20\x0b\x20"
  b""" \a \b \f \t \v """ => b"\x20\x07\x20\x08\x20\x0c\x20\x09\x20\x0b\x20"
  b' \n ' => b"\x20\x0a\x20"
  b" \n " => b"\x20\x0a\x20"
  b''' \n ''' => b"\x20\x0a\x20"
  b""" \n """ => b"\x20\x0a\x20"
  b' \r ' => b"\x20\x0d\x20"
  b" \r " => b"\x20\x0d\x20"
  b''' \r ''' => b"\x20\x0d\x20"
  b""" \r """ => b"\x20\x0d\x20"
  b' \r\n ' => b"\x20\x0d\x0a\x20"
  b" \r\n " => b"\x20\x0d\x0a\x20"
  b''' \r\n ''' => b"\x20\x0d\x0a\x20"
  b""" \r\n """ => b"\x20\x0d\x0a\x20"
  b' \000 \012 \177 \377 ' => b"\x20\x00\x20\x0a\x20\x7f\x20\xff\x20"
  b" \000 \012 \177 \377 " => b"\x20\x00\x20\x0a\x20\x7f\x20\xff\x20"
  b''' \000 \012 \177 \377 ''' => b"\x20\x00\x20\x0a\x20\x7f\x20\xff\x20"
  b""" \000 \012 \177 \377 """ => b"\x20\x00\x20\x0a\x20\x7f\x20\xff\x20"
  b' \x00 \x0A \x7F \xFF ' => b"\x20\x00\x20\x0a\x20\x7f\x20\xff\x20"
  b" \x00 \x0A \x7F \xFF " => b"\x20\x00\x20\x0a\x20\x7f\x20\xff\x20"
  b''' \x00 \x0A \x7F \xFF ''' => b"\x20\x00\x20\x0a\x20\x7f\x20\xff\x20"
  b""" \x00 \x0A \x7F \xFF """ => b"\x20\x00\x20\x0a\x20\x7f\x20\xff\x20"
  b' \X00 \X0A \X7F \XFF ' => b"\x20\x00\x20\x0a\x20\x7f\x20\xff\x20"
  b" \X00 \X0A \X7F \XFF " => b"\x20\x00\x20\x0a\x20\x7f\x20\xff\x20"
  b''' \X00 \X0A \X7F \XFF ''' => b"\x20\x00\x20\x0a\x20\x7f\x20\xff\x20"
  b""" \X00 \X0A \X7F \XFF """ => b"\x20\x00\x20\x0a\x20\x7f\x20\xff\x20"
  B' \x4a \x4B \X4c \X4D ' => b"\x20\x4a\x20\x4b\x20\x4c\x20\x4d\x20"
  B" \x4a \x4B \X4c \X4D " => b"\x20\x4a\x20\x4b\x20\x4c\x20\x4d\x20"
  B''' \x4a \x4B \X4c \X4D ''' => b"\x20\x4a\x20\x4b\x20\x4c\x20\x4d\x20"
  B""" \x4a \x4B \X4c \X4D """ => b"\x20\x4a\x20\x4b\x20\x4c\x20\x4d\x20"
  { 'as': 1 }.as => 1
  { 'break': 1 }.break => 1
  { 'const': 1 }.const => 1
  { 'continue': 1 }.continue => 1
  { 'else': 1 }.else => 1
  { 'for': 1 }.for => 1
  { 'function': 1 }.function => 1
  { 'if': 1 }.if => 1
  { 'import': 1 }.import => 1
  { 'let': 1 }.let => 1
  { 'loop': 1 }.loop => 1
  { 'package': 1 }.package => 1
  { 'namespace': 1 }.namespace => 1
  { 'return': 1 }.return => 1
  { 'var': 1 }.var => 1
  { 'void': 1 }.void => 1
  { 'while': 1 }.while => 1
  17 => 17
  1 / 0 => error
  {"k1":"v1","k":"v"} => {"k": "v", "k1": "v1"}
  size('') => 0
  size('A') => 1
  size('ÿ') => 1
  size('four') => 4
  size('πέντε') => 5
  size(b'') => 0
  size(b'abc') => 3
  'foobar'.startsWith('foo') => true
  'foobar'.startsWith('bar') => false
  ''.startsWith('foo') => false
  'foobar'.startsWith('') => true
  ''.startsWith('') => true
  'завтра'.startsWith('за') => true
  '🐱😀😛'.startsWith('🐱') => true
  'foobar'.endsWith('bar') => true
  'foobar'.endsWith('foo') => false
  ''.endsWith('foo') => false
  'foobar'.endsWith('') => true
  ''.endsWith('') => true
  'forté'.endsWith('té') => true
  '🐱😀😛'.endsWith('😛') => true
  'he' + 'llo' => "hello"
  'hello' + ' ' == 'hello' => false
  '' + 'abc' => "abc"
  'abc' + '' => "abc"
  '' + '' => ""
  '¢' + 'ÿ' + 'Ȁ' => "¢ÿȀ"
  'r' + 'ô' + 'le' => "rôle"
  'a' + 'ÿ' + '🐱' => "aÿ🐱"
  '' + 'Ω' + '' => "Ω"
  'hello'.contains('he') => true
  'hello'.contains('') => true
  'hello'.contains('ol') => false
  'abababc'.contains('ababc') => true
  'Straße'.contains('aß') => true
  '🐱😀😁'.contains('😀') => true
  ''.contains('something') => false
  ''.contains('') => true
  b'abc' + b'def' => b"\x61\x62\x63\x64\x65\x66"
  b'' + b'\xffoo' => b"\xff\x6f\x6f"
  b'zxy' + b'' => b"\x7a\x78\x79"
  b'' + b'' => b""
  int(timestamp('2009-02-13T23:31:30Z')) => 1234567890
  string(timestamp('2009-02-13T23:31:30Z')) => "2009-02-13T23:31:30Z"
  string(timestamp('9999-12-31T23:59:59.999999999Z')) => "9999-12-31T23:59:59.999999999Z"
  type(timestamp('2009-02-13T23:31:30Z')) => google.protobuf.Timestamp
  google.protobuf.Timestamp == type(timestamp('2009-02-13T23:31:30Z')) => true
  string(duration('1000000s')) => "1000000s"
  type(duration('1000000s')) => google.protobuf.Duration
  google.protobuf.Duration == type(duration('1000000s')) => true
  timestamp('2009-02-13T23:31:30Z').getDate() => 13
  timestamp('2009-02-13T23:31:30Z').getDayOfMonth() => 12
  timestamp('2009-02-13T23:31:30Z').getDayOfWeek() => 5
  timestamp('2009-02-13T23:31:30Z').getDayOfYear() => 43
  timestamp('2009-02-13T23:31:30Z').getFullYear() => 2009
  timestamp('2009-02-13T23:31:30Z').getHours() => 23
  timestamp('2009-02-13T23:31:20.123456789Z').getMilliseconds() => 123
  timestamp('2009-02-13T23:31:30Z').getMinutes() => 31
  timestamp('2009-02-13T23:31:30Z').getMonth() => 1
  timestamp('2009-02-13T23:31:30Z').getSeconds() => 30
  timestamp('2009-02-13T23:31:30Z').getDayOfMonth('+11:00') => 13
  timestamp('2009-02-13T02:00:00Z').getDayOfMonth('-02:30') => 11
  timestamp('2009-02-13T23:31:30Z').getDayOfWeek('UTC') => 5
  timestamp('2009-02-13T23:31:30Z').getFullYear('-09:30') => 2009
  timestamp('2009-02-13T23:31:30Z').getHours('02:00') => 1
  timestamp('2009-02-13T23:31:30Z').getMonth('UTC') => 1
  timestamp('2009-02-13T23:31:30Z').getSeconds('-00:00') => 30
  timestamp('2009-02-13T23:31:30Z') == timestamp('2009-02-13T23:31:30Z') => true
  timestamp('2009-02-13T23:31:29Z') == timestamp('2009-02-13T23:31:30Z') => false
  timestamp('1945-05-07T02:41:00Z') != timestamp('1945-05-07T02:41:00Z') => false
  timestamp('2000-01-01T00:00:00Z') != timestamp('2001-01-01T00:00:00Z') => true
  duration('123s') == duration('123s') => true
  duration('60s') == duration('3600s') => false
  duration('604800s') != duration('604800s') => false
  duration('86400s') != duration('86164s') => true
  duration('600s') + duration('50s') == duration('650s') => true
  duration('900s') - duration('42s') == duration('858s') => true
  timestamp('2009-02-13T23:00:00Z') <= timestamp('2009-02-13T23:00:00Z') => true
  timestamp('2009-02-13T23:00:00Z') <= timestamp('2009-02-13T22:59:59Z') => false
  duration('200s') <= duration('200s') => true
  duration('300s') <= duration('200s') => false
  timestamp('2009-02-13T23:00:00Z') < timestamp('2009-03-13T23:00:00Z') => true
  duration('200s') < duration('300s') => true
  timestamp('2009-02-13T23:00:00Z') >= timestamp('2009-02-13T23:00:00Z') => true
  timestamp('2009-02-13T22:58:00Z') >= timestamp('2009-02-13T23:00:00Z') => false
  duration('200s') >= duration('200s') => true
  duration('120s') >= duration('200s') => false
  timestamp('2009-02-13T23:59:00Z') > timestamp('2009-02-13T23:00:00Z') => true
  duration('300s') > duration('200s') => true
  duration('10000s').getHours() => 2
  duration('3730s').getMinutes() => 62
  duration('3730s').getSeconds() => 3730
  timestamp('0000-01-01T00:00:00Z') => error
  timestamp(-62135596801) => error
  timestamp('10000-01-01T00:00:00Z') => error
  timestamp(253402300800) => error
  timestamp('0001-01-01T00:00:00Z') + duration('-1s') => error
  timestamp('9999-12-31T23:59:59Z') + duration('1s') => error
  timestamp('9999-12-31T23:59:59.999999999Z') + duration('1ns') => error
  timestamp('0001-01-01T00:00:00Z') + duration('-1ns') => error
  timestamp('9999-12-31T23:59:59Z') - timestamp('0001-01-01T00:00:00Z') => error
  timestamp('0001-01-01T00:00:00Z') - timestamp('9999-12-31T23:59:59Z') => error
  duration('-320000000000s') => error
  duration('320000000000s') => error
  duration('-200000000000s') + duration('-200000000000s') => error
  duration('200000000000s') + duration('200000000000s') => error
  duration('-200000000000s') - duration('200000000000s') => error
  duration('200000000000s') - duration('-200000000000s') => error
  """#
