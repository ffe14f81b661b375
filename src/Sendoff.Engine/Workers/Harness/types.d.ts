// What a step of a Sendoff workflow can use, for editors: `sendoff types` writes this file beside your steps.

/** An HTTP request, made after the run. It is taken as it is at the call: later changes to the objects do not matter. */
interface SendHttpOptions {
  /** GET, POST or any other method. */
  method: string;
  /** An absolute http or https address. A fragment is dropped; userinfo becomes Basic credentials. */
  url: string | URL;
  /** The body. Objects, arrays, numbers and booleans are sent as JSON, text and bytes as they are, FormData as multipart. */
  data?: SendData;
  /** An array repeats the header; null or undefined leaves it out. A content-type of your own always wins. */
  headers?: Record<string, string | number | boolean | null | undefined | readonly (string | number | boolean)[]> | Headers;
  /** Appended to the query of `url`, where it wins over a key of the same name. Arrays repeat as `key[]`. */
  params?: Record<string, unknown> | URLSearchParams | null;
  /** Basic credentials. */
  auth?: { username: string; password: string };
}

type SendData = string | number | boolean | null | object | Uint8Array | ArrayBuffer | URLSearchParams | FormData | Blob;

interface Send {
  /**
   * Collects an HTTP request, which is made after the run. Returns nothing: there is no response to await.
   * Use fetch or axios where you need the response.
   * @throws an error with the code SENDOFF_INVALID_SEND for options that cannot be sent
   */
  http(options: SendHttpOptions): void;
  /** Collects an email to the server's owner (setting Smtp:To). With both, `html` is shown and `text` is what plain readers get. */
  email(options: SendEmailOptions): void;
  /** Emits an event, which starts the workflows that listen with a trigger `type: emit`. It is kept among the last 100. */
  emit(event: any, channel?: string): void;
  /** The older form: listeners get `event`, or `raw_event` where there is none. */
  emit(options: { raw_event: object; event?: object }): void;
  /** Collects an event for those who follow the workflow's stream: `channel` is the event's name there. */
  sse(options: { channel: string; payload: string | object }): void;
  /** Collects an object for an S3-compatible store: PREFIX/YYYY/MM/DD/HH/YYYY-MM-DD-HH-MM-SS-ID.gz, gzip of the payload and a line
   *  break. */
  s3(options: { bucket: string; prefix: string; payload: string | number | boolean | object }): void;
}

interface SendEmailOptions {
  subject?: string;
  text?: string;
  html?: string;
  /** Addresses that the setting Smtp:AllowTo lets steps choose; ignored with a warning where it is not set. */
  to?: string | readonly string[];
}

interface RespondOptions {
  /** From 200 to 599; 200 if not given. */
  status?: number;
  headers?: Record<string, string | number | boolean | null | undefined | readonly string[]>;
  /** An object is sent as JSON. A stream (a Readable of Node or a ReadableStream) is read to its end first: await the call. */
  body?: string | object | Uint8Array | AsyncIterable<string | Uint8Array> | null;
  /** Respond now, not at the end of the run. */
  immediate?: boolean;
}

interface TriggerContext {
  /** Of the run. */
  id: string;
  /** When the event came, ISO 8601. */
  ts: string;
  workflow_id: string;
  workflow_name: string;
  deployment_id: string;
  owner_id: string | null;
  emitter_id: string | null;
  trace_id: string;
  platform_version: string;
  replay: boolean;
  verified: boolean;
  hops: number | null;
  test: boolean;
  /** The paths of the workflow's own files, by their names below the folder `attachments`. */
  attachments: Record<string, string>;
}

/** What an HTTP trigger received. Other triggers have fields of their own. */
interface TriggerEvent {
  method?: string;
  path?: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: any;
  /** The body as it came: text where it is UTF-8, else a Buffer. Check signatures with it. Not enumerable. */
  readonly bodyRaw?: any;
  client_ip?: string;
  url?: string;
  [field: string]: any;
}

/** The request as it came, for older steps. */
interface RawEvent {
  method?: string;
  /** The path behind the trigger's key, and the query. */
  uri?: string;
  scheme?: string;
  client_ip?: string;
  headers?: Record<string, string>;
  /** The body in Base64, byte by byte as it came. Check signatures with it. */
  body_b64: string;
}

interface Steps {
  trigger: { event: TriggerEvent; context: TriggerContext; raw_event: RawEvent };
  /** The exports of an earlier step, by its name. */
  [step: string]: any;
}

/** A file that may not be there yet. As JSON it is `{ path, name }`, which `$.files.openDescriptor` takes. */
interface StoredFile {
  readonly path: string;
  readonly name: string;
  /** A file: address, good in this run. */
  toUrl(): Promise<string>;
  toBuffer(): Promise<Uint8Array>;
  toEncodedString(encoding?: string, start?: number, end?: number): Promise<string>;
  /** Copies it to a path on the disk. */
  toFile(target: string): Promise<void>;
  fromUrl(url: string, options?: object): Promise<StoredFile>;
  fromFile(source: string): Promise<StoredFile>;
  fromReadableStream(stream: any): Promise<StoredFile>;
  delete(): Promise<void>;
  createReadStream(): Promise<any>;
  createWriteStream(): Promise<any>;
}

/** The files below the worker's temporary folder. They may be there in the next run, and may not. */
interface Files {
  open(path: string): StoredFile;
  openDescriptor(descriptor: { path: string }): StoredFile;
  dir(path?: string): AsyncIterable<{
    name: string; path: string; size: number; modifiedAt: Date; isFile(): boolean; isDirectory(): boolean
  }>;
}

/** Addresses that decide over a run that is held. Whoever knows them may call them, with any method. */
interface HeldRun { resume_url: string; cancel_url: string }

/** The `$` of `run({ steps, $ })`. */
interface Dollar {
  /** A value for later steps, as `steps.<this step>.<name>`. It has to be JSON. `$summary` is shown beside the step. */
  export(name: string, value: unknown): void;
  send: Send;
  respond(options: RespondOptions): Promise<void>;
  /** Ends the run at once, as succeeded. */
  end(message?: string): never;
  files: Files;
  flow: {
    /** Ends the run after this step; the rest of the step still runs. */
    exit(reason?: string): void;
    /** Holds the run after this step until `resume_url` is called; its request is then `steps.<this step>.$resume_data`. After `ms`, or by
     *  `cancel_url`, the run is canceled. */
    suspend(ms?: number, context?: unknown): HeldRun;
    /** Goes on with the next step after `ms`, from 1 ms to a year, or when `resume_url` is called. */
    delay(ms: number, context?: unknown): HeldRun;
    /** Runs this step again after `ms`, or when `resume_url` is called, with `$.context.run`; after `maxRetries` more runs the next step
     *  follows. */
    rerun(ms: number, context?: unknown, maxRetries?: number): HeldRun;
  };
  context: TriggerContext & {
    /** When the run is stopped, in ms since 1970. */
    deadline: number;
    run: {
      /** How often this step has been started, from 1. */
      runs: number;
      /** The context passed to $.flow. */
      context?: any;
      /** The request that resumed the run, as an HTTP trigger's event. */
      callback_request?: TriggerEvent;
    };
    /** Always false: a step always belongs to a deployed run. */
    JIT: boolean;
  };
}

/** One of a component's props. */
interface PropDefinition {
  /** `string`, `boolean`, `integer`, `number`, `object` or `any`, also with `[]`; `app`, `http_request`, `dir`, `alert`,
   *  `$.interface.http`, `$.interface.timer`. */
  type?: string;
  /** Of a prop of the type `app`: its account is `this.<prop>.$auth`. */
  app?: string;
  /** An app, and the name of one of its `propDefinitions`. */
  propDefinition?: readonly [any, string, ...unknown[]];
  label?: string;
  description?: string;
  /** Taken where the step is given no value. */
  default?: unknown;
  /** Without it and without a default, a prop needs a value. */
  optional?: boolean;
  /** The value is covered in the run's record. */
  secret?: boolean;
  [other: string]: any;
}

/** A prop of the type data_store. Values are JSON. */
interface DataStore extends AsyncIterable<[string, any]> {
  /** undefined when there is no such key, or it has expired. */
  get(key: string): Promise<any>;
  /** @param options.ttl seconds; without it the key stays. @returns when it is durable */
  set(key: string, value: unknown, options?: { ttl?: number }): Promise<void>;
  /** @param ttl seconds; null lets it stay. @returns false when there is no such key */
  setTtl(key: string, ttl: number | null): Promise<boolean>;
  has(key: string): Promise<boolean>;
  delete(key: string): Promise<boolean>;
  keys(): Promise<string[]>;
  values(): Promise<any[]>;
  entries(): Promise<[string, any][]>;
  size(): Promise<number>;
  clear(): Promise<void>;
}

/** A prop of the type $.service.db: up to 64 KiB, read before the step and written after it. */
interface ServiceDb {
  get(key: string): any;
  /** undefined removes the key. */
  set(key: string, value: unknown): void;
}

/** What a prop's value is on `this`, by its definition. */
type PropValue<P> =
  P extends '$.service.db' ? ServiceDb
  : P extends string ? any
  : P extends { propDefinition: any } ? any
  : P extends { type: infer T extends string }
    ? P extends { optional: true } ? P extends { default: any } ? PropOf<T, P> : PropOf<T, P> | undefined : PropOf<T, P>
  : any;

type PropOf<T extends string, P> =
  T extends `${infer Item}[]` ? PropOf<Item, P>[]
  : T extends 'string' ? string
  : T extends 'integer' | 'number' ? number
  : T extends 'boolean' ? boolean
  : T extends 'object' ? Record<string, any>
  : T extends 'app'
    ? { /** The account's fields, from secrets named `<APP>__<FIELD>`. */ $auth: Record<string, any>; [method: string]: any }
  : T extends 'data_store' ? DataStore
  : T extends '$.service.db' ? ServiceDb
  : any;

/** What `this` is in a component: its props, its methods, and the props that additionalProps adds. */
type ComponentThis<P, M> = { [K in keyof P]: PropValue<P[K]> } & M & { [added: string]: any };

interface Component {
  name?: string;
  key?: string;
  version?: string;
  type?: string;
  description?: string;
  /** Their values are on `this`. */
  props?: Record<string, PropDefinition | string>;
  /** Props that depend on what the others are; called before each run. */
  additionalProps?(
    this: any, existing: Record<string, PropDefinition>,
  ): Record<string, PropDefinition> | Promise<Record<string, PropDefinition>>;
  methods?: Record<string, (this: any, ...args: any[]) => any>;
  run(this: any, context: { steps: Steps; $: Dollar }): unknown;
  [other: string]: any;
}

/** Returns its argument. The types of its props are those of `this`. */
declare function defineComponent<
  const P extends Record<string, PropDefinition | string> = {}, M extends Record<string, (...args: any[]) => any> = {},
>(
  component: Omit<Component, 'props' | 'methods' | 'run'>
    & { props?: P; methods?: M; run(context: { steps: Steps; $: Dollar }): unknown }
    & ThisType<ComponentThis<P, M>>,
): Component;

/** A mistake in what the step is configured with. */
declare class ConfigurationError extends Error {}

declare const $: Dollar;
declare const $send: Send;
declare const $respond: Dollar['respond'];
declare const $end: Dollar['end'];
/** Shared by the workflow's steps and kept between runs: JSON, up to 64 KiB. */
declare let $checkpoint: any;
/** In body-style steps: what the trigger received. */
declare var event: TriggerEvent;
declare const steps: Steps;
/** The values of the step's props. */
declare const params: Record<string, any>;
/** The accounts, by app. */
declare const auths: Record<string, Record<string, string>>;
/** Paths of the files that a multipart form held, by field. */
declare const $attachments: Record<string, string>;

// Of Node.js, as much as steps mostly use; `npm install @types/node` has the rest.
declare var process: { /** The workspace's variables and secrets. */ env: Record<string, string | undefined>; [name: string]: any };
declare var require: any;
declare var Buffer: any;
