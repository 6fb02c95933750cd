import './ui/app.css';
import { render } from 'preact';
import { start } from './store';
import { App } from './views/App';

start();
const host = document.getElementById('app');
if (host) render(<App />, host);
