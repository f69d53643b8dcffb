/** What each kind of golden file is, in Slack's published types and in what these lack. */
import type { Block, HomeView, KnownBlock, ModalView, PlainTextOption, PlanBlock, TaskCardBlock } from "@slack/types";

/** A kind of block that the package lacks: once it has it, this does not compile, and the declaration here has to go. */
type Lacking<Kind extends string> = Kind extends KnownBlock["type"] ? never : Kind;

interface Axes {
  categories: string[];
  x_label?: string;
  y_label?: string;
}

interface Series {
  name: string;
  data: { label: string; value: number }[];
}

/** Slack shipped it on 2026-06-16: docs.slack.dev/reference/block-kit/blocks/data-visualization-block */
interface DataVisualizationBlock extends Block {
  type: Lacking<"data_visualization">;
  title: string;
  chart:
    | { type: "bar" | "area" | "line"; series: Series[]; axis_config: Axes }
    | { type: "pie"; segments: { label: string; value: number }[] };
}

/** The package takes anything for a task. */
type StrictPlan = PlanBlock & { tasks: TaskCardBlock[] };

type Shown = Exclude<KnownBlock, PlanBlock> | StrictPlan | DataVisualizationBlock;

export interface Message {
  text: string;
  blocks?: Shown[];
}

export type Thread = Message[];
export type Form = Omit<ModalView, "blocks"> & { blocks: KnownBlock[] };
export type Home = Omit<HomeView, "blocks"> & { blocks: KnownBlock[] };
export type Choice = PlainTextOption;
export type { Lacking };
