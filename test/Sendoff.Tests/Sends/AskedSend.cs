using System.Text;

namespace Sendoff.Tests.Sends;

/// <summary>One call of <c>$send.http</c>, as a step makes it. A null option is not given.</summary>
sealed record AskedSend(Js? Method, Js? Url, Js? Data, Js? Headers, Js? Params, Js? Auth)
{
    /// <summary>What a step's <c>event</c> holds of it.</summary>
    public override string ToString()
    {
        var text = new StringBuilder("{");
        (string, Js?)[] options =
        [
            ("method", Method),
            ("url", Url),
            ("data", Data),
            ("headers", Headers),
            ("params", Params),
            ("auth", Auth),
        ];
        foreach (var (name, value) in options)
        {
            if (value is null)
                continue;
            text.Append(text.Length > 1 ? "," : "").Append('"').Append(name).Append("\":");
            value.Write(text);
        }
        return text.Append('}').ToString();
    }
}

/// <summary>The step that makes the calls of its event, one after the other, and returns for each what it threw, or null.</summary>
static class SendStep
{
    public const string Code = """
        import { Readable } from 'node:stream';

        class Instance {}

        const bytes = text => Uint8Array.from(Buffer.from(text, 'base64'));

        function define(object, pairs) {
          for (const [key, value] of pairs) Object.defineProperty(object, key, { value: make(value), enumerable: true, configurable: true, writable: true });
          return object;
        }

        function form(fields) {
          const made = new FormData();
          for (const [key, value] of fields) made.append(key, make(value));
          return made;
        }

        function circular() {
          const made = {};
          made.self = made;
          return made;
        }

        function make([kind, value, type, name]) {
          switch (kind) {
            case 'undefined': return undefined;
            case 'null': return null;
            case 'text': case 'bool': return value;
            case 'number': return Number(value);
            case 'bigint': return BigInt(value);
            case 'date': return new Date(value === null ? NaN : value);
            case 'array': return value.map(make);
            case 'object': return define({}, value);
            case 'bare': return define(Object.create(null), value);
            case 'instance': return define(new Instance(), value);
            case 'Headers': return new Headers(value.map(([key, text]) => [key, make(text)]));
            case 'Buffer': return Buffer.from(value, 'base64');
            case 'ArrayBuffer': return bytes(value).buffer;
            case 'URLSearchParams': return new URLSearchParams(value);
            case 'Blob': return new Blob([bytes(value)], { type });
            case 'File': return new File([bytes(value)], name, { type });
            case 'FormData': return form(value);
            case 'URL': return new URL(value);
            case 'Promise': return Promise.resolve();
            case 'Map': return new Map([[1, 2]]);
            case 'Set': return new Set([1]);
            case 'function': return () => {};
            case 'symbol': return Symbol('s');
            case 'circular': return circular();
            case 'stream': return Readable.from(['x']);
            case 'thenable': return { then() {} };
            default: return new globalThis[kind](bytes(value).buffer);
          }
        }

        // A3: whatever becomes of the arguments after the call, the send is as it was.
        function spoil(value) {
          if (value === null || typeof value !== 'object') return;
          if (ArrayBuffer.isView(value)) new Uint8Array(value.buffer, value.byteOffset, value.byteLength).fill(0x21);
          else if (value instanceof ArrayBuffer) new Uint8Array(value).fill(0x21);
          else if (value instanceof URLSearchParams || value instanceof FormData) value.append('spoilt', '1');
          else if (value instanceof Date) value.setTime(1);
          else if (Array.isArray(value)) value.fill('spoilt');
          else if (!(value instanceof Blob)) for (const [key, inner] of Object.entries(value)) { delete value[key]; spoil(inner); }
        }

        export default {
          run({ steps, $ }) {
            const { cases } = steps.trigger.event;
            return cases.map((asked, i) => {
              const options = Object.fromEntries(Object.entries(asked).map(([name, value]) => [name, make(value)]));
              try {
                if (i % 2) $.send.http(options); else $send.http(options);
                return null;
              } catch (error) {
                return { message: error.message.toWellFormed(), code: error.code ?? null };
              } finally {
                spoil(options);
              }
            });
          },
        };
        """;
}
