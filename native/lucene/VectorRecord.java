package repro;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.apache.lucene.util.BytesRef;

/**
 * Reads records {"id": ..., "vector": {term: impact}} from UTF-8 bytes, one after the other.
 *
 * <p>A general JSON parser makes a string of every term, which took a third of the time of indexing; here a
 * term is the bytes where they lie, and only those with an escape are decoded (by Jackson).
 */
final class VectorRecord {
  /** What is wrong with a record; its position is the reader's. */
  static final class Malformed extends IOException {
    private static final long serialVersionUID = 1;

    Malformed() {
      super("malformed");
    }
  }

  private static final ObjectMapper MAPPER = new ObjectMapper();

  private final byte[] bytes;
  private final int end;
  private int start;
  private int at;
  private BytesRef id;

  VectorRecord(byte[] bytes, int end) {
    this.bytes = bytes;
    this.end = end;
  }

  /** Read the next record's postings into {@code tokens}; false at the end. */
  boolean next(ImpactTokens tokens) throws IOException {
    if (blank() < 0) {
      return false;
    }
    start = at;
    id = null;
    tokens.clear();
    boolean vector = false;
    expect('{');
    for (boolean more = !found('}'); more; more = another('}')) {
      BytesRef name = key();
      if (is(name, "id")) {
        id = blank() == '"' ? string() : scalar();
      } else if (is(name, "vector")) {
        vector = true;
        postings(tokens);
      } else {
        skip();
      }
    }
    if (id == null || !vector) {
      throw new Malformed();
    }
    return true;
  }

  /** The record's id, in bytes of the block. */
  BytesRef id() {
    return id;
  }

  /** Where the record begins. */
  int start() {
    return start;
  }

  /** The record as Anserini keeps it for display. */
  String raw() throws IOException {
    return MAPPER.readTree(bytes, start, at - start).toPrettyString();
  }

  private void postings(ImpactTokens tokens) throws IOException {
    expect('{');
    for (boolean more = !found('}'); more; more = another('}')) {
      BytesRef term = key();
      int impact = integer();
      if (impact > 0) {
        tokens.add(term, impact);
      }
    }
  }

  private BytesRef key() throws IOException {
    BytesRef name = string();
    expect(':');
    return name;
  }

  /** A number's integer part: Anserini truncates, too. */
  private int integer() throws IOException {
    blank();
    int from = at;
    long value = 0;
    while (at < end && bytes[at] >= '0' && bytes[at] <= '9' && value <= Integer.MAX_VALUE) {
      value = 10 * value + bytes[at++] - '0';
    }
    if (at < end && at > from && value <= Integer.MAX_VALUE && (bytes[at] == ',' || bytes[at] == '}')) {
      return (int) value;
    }
    at = from; // a sign, a fraction, an exponent
    try {
      return (int) Double.parseDouble(scalar().utf8ToString());
    } catch (NumberFormatException error) {
      throw new Malformed();
    }
  }

  private BytesRef scalar() throws IOException {
    int from = at;
    while (at < end && ",}] \t\r\n".indexOf(bytes[at]) < 0) {
      at++;
    }
    if (at == from || bytes[from] == '{' || bytes[from] == '[') {
      throw new Malformed();
    }
    return new BytesRef(bytes, from, at - from);
  }

  private BytesRef string() throws IOException {
    expect('"');
    int from = at;
    boolean escaped = false;
    for (; at < end && bytes[at] != '"'; at++) {
      if (bytes[at] == '\\') {
        escaped = true;
        at++;
      } else if (bytes[at] == '\n') {
        throw new Malformed();
      }
    }
    expect('"');
    if (!escaped) {
      return new BytesRef(bytes, from, at - 1 - from);
    }
    String quoted = new String(bytes, from - 1, at - from + 1, StandardCharsets.UTF_8);
    return new BytesRef(MAPPER.readValue(quoted, String.class));
  }

  /** Pass over any value. */
  private void skip() throws IOException {
    switch (blank()) {
      case '"' -> string();
      case '{' -> {
        at++;
        for (boolean more = !found('}'); more; more = another('}')) {
          key();
          skip();
        }
      }
      case '[' -> {
        at++;
        for (boolean more = !found(']'); more; more = another(']')) {
          skip();
        }
      }
      default -> scalar();
    }
  }

  private boolean another(char close) throws IOException {
    if (found(close)) {
      return false;
    }
    expect(',');
    return true;
  }

  private boolean found(char character) {
    if (blank() != character) {
      return false;
    }
    at++;
    return true;
  }

  private void expect(char character) throws IOException {
    if (!found(character)) {
      throw new Malformed();
    }
  }

  /** Pass over blanks; return the byte that follows, -1 at the end. */
  private int blank() {
    while (at < end && (bytes[at] == ' ' || bytes[at] == '\n' || bytes[at] == '\r' || bytes[at] == '\t')) {
      at++;
    }
    return at < end ? bytes[at] : -1;
  }

  private static boolean is(BytesRef name, String expected) {
    return name.length == expected.length() && name.utf8ToString().equals(expected);
  }
}
